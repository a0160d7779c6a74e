# SPDX-License-Identifier: GPL-2.0-only
#
# What summary.awk has read, as text: a table of cells by test, each reason of a
# skip once, all that failed, and the closing line

# The mark of a test in a cell
function mark(c, t)
{
	if (!((c, t) in ok))
		return c in unused ? "-" : "?"
	return bad[c, t] ? "XX" : !ok[c, t] ? "-" : left[c, t] ? "~" : "ok"
}

END {
	print ""
	for (j = 1; j <= tests; j++) {
		printf "  %-36s", ""
		for (i = 1; i < j; i++)
			printf "|  "
		print test[j]
	}
	for (i = 1; i <= cells; i++) {
		printf "  %-36s", cell[i]
		for (j = 1; j <= tests; j++)
			printf "%-3s", mark(cell[i], test[j])
		print ""
	}
	print ""
	for (i = 1; i <= checks; i++) {
		c = check[i]
		printf "  %-36s%-3s", c, mark(c, "")
		if ((c, "") in ok)
			printf "(%d passed, %d failed)", ok[c, ""], bad[c, ""]
		print ""
	}
	print ""
	print "  ok passed   ~ passed, some rows skipped   - all skipped   XX failed   ? no result"
	if (skipped) {
		print ""
		print "skipped, by reason:"
		for (i = 1; i <= kinds; i++)
			printf "%7d  %s\n", reasons[reason[i]], reason[i]
	}
	if (failed) {
		print ""
		print "failed:"
		for (i = 1; i <= failed; i++)
			print "  " failure[i]
	}
	print ""
	printf "%d min %d s; the same as a page, with consoles and KTAP: %s\n",
		seconds / 60, seconds % 60, page
	printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
	exit failed > 0
}
