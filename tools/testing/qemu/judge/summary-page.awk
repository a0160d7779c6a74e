# SPDX-License-Identifier: GPL-2.0-only
#
# What summary.awk has read, as an HTML page with links to what each cell left

function html(text)
{
	gsub(/&/, "\\&amp;", text)
	gsub(/</, "\\&lt;", text)
	gsub(/>/, "\\&gt;", text)
	return text
}

function link(file, text)
{
	return "<a href=\"" html(file) "\">" html(text) "</a>"
}

# How many rows of a test in a cell passed, failed, were skipped
function entry(c, t)
{
	if (!((c, t) in ok))
		return c in unused ? "<td class=\"skip\">skipped" : "<td class=\"fail\">no result"
	return "<td class=\"" (bad[c, t] ? "fail" : !ok[c, t] ? "skip" : "pass") "\">" \
		ok[c, t] (bad[c, t] ? ", " bad[c, t] " failed" : "") \
		(left[c, t] ? " <small>" left[c, t] " skipped</small>" : "")
}

END {
	title = "Memory types of vfio-pci BARs under KVM/arm64"
	print "<!DOCTYPE html>"
	print "<html lang=\"en\"><head><meta charset=\"utf-8\">"
	printf "<title>%s: %d passed, %d failed</title>\n", title, passed, failed
	print "<style>"
	print "body { font-family: sans-serif; margin: 2em }"
	print "table { border-collapse: collapse }"
	print "th, td { border: 1px solid #999; padding: .2em .6em; text-align: left; font-weight: normal }"
	print ".pass { background: #cfc } .fail { background: #f99; font-weight: bold } .skip { background: #eee }"
	print "</style></head><body>"
	print "<h1>" title "</h1>"
	printf "<p>%d passed, %d failed, %d skipped; %d min %d s; %s<br>\n",
		passed, failed, skipped, seconds / 60, seconds % 60, html(date)
	print "Series " html(version) " on Linux " html(bases) "; " html(qemu) "</p>"
	print "<table><tr><th>cell<th>left by it"
	for (j = 1; j <= tests; j++)
		print "<th>" html(test[j])
	for (i = 1; i <= cells; i++) {
		c = cell[i]
		print "<tr><td>" html(c) "<td>" link(dir[c] "/ktap", "KTAP")
		print link(dir[c] "/console.log", "console")
		print link(dir[c] "/qemu-cmd", "command")
		print link(dir[c] "/config", "config")
		for (j = 1; j <= tests; j++)
			print entry(c, test[j])
	}
	print "</table>"
	print "<p>The numbers are those of rows that passed. On the kernels without the series,"
	print "6.1-base and 6.1-stock, a row that has to fail there has passed if it did.</p>"
	print "<table><tr><th>check<th>rows passed"
	for (i = 1; i <= checks; i++)
		print "<tr><td>" link(log_of[check[i]], check[i]) entry(check[i], "")
	print "</table>"
	if (failed) {
		print "<h2>Failed</h2><ul>"
		for (i = 1; i <= failed; i++)
			print "<li>" html(failure[i])
		print "</ul>"
	}
	if (skipped) {
		print "<h2>Skipped, by reason</h2><table>"
		for (i = 1; i <= kinds; i++)
			print "<tr><td>" reasons[reason[i]] "<td>" html(reason[i])
		print "</table>"
	}
	print "</body></html>"
}
