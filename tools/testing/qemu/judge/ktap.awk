# SPDX-License-Identifier: GPL-2.0-only
#
# Read what kselftest's runner printed, and print, separated by tabs:
#
#   test  NAME  PASSED  FAILED  SKIPPED	for each test program
#   fail  NAME  ROW
#   skip  NAME  ROW  REASON
#   sum   PASSED  FAILED  SKIPPED		last
#
# A test program's own rows stand behind "# ". One without rows counts as a row
# itself. A program that fails beside its rows, or does not come to the number
# of rows it announced, is a failed row more.
#
# With -v expect=FILE the run is a control, in which rows have to fail: FILE has
# "NAME REGEX" lines. A failed row that matches one has passed, and a row that
# matches and passes, or a line that no row matches, has failed.

BEGIN {
	OFS = "\t"
	while (expect && (getline line < expect) > 0)
		if (line !~ /^#/ && line != "") {
			n++
			name[n] = line
			sub(/ .*/, "", name[n])
			regex[n] = line
			sub(/^[^ ]* /, "", regex[n])
		}
}

# The line of the expectations for this row, or 0
function expected(test, row,	i)
{
	for (i = 1; i <= n; i++)
		if (name[i] == test && row ~ regex[i]) {
			seen[i] = 1
			return i
		}
	return 0
}

function count(ok, row, skip, reason)
{
	rows++
	buffer_kind[rows] = skip ? "skip" : ok ? "ok" : "fail"
	buffer_row[rows] = row
	buffer_reason[rows] = reason
}

function flush_rows(test,	i, p, f, s, kind, e)
{
	for (i = 1; i <= rows; i++) {
		kind = buffer_kind[i]
		e = expected(test, buffer_row[i])
		if (e && kind == "fail")
			kind = "ok"
		else if (e && kind == "ok") {
			kind = "fail"
			buffer_row[i] = buffer_row[i] " (has to fail here)"
		}
		if (kind == "ok")
			p++
		else if (kind == "skip") {
			s++
			print "skip", test, buffer_row[i], buffer_reason[i]
		} else {
			f++
			print "fail", test, buffer_row[i]
		}
	}
	print "test", test, p + 0, f + 0, s + 0
	passed += p
	failed += f
	skipped += s
	rows = 0
	plan = ""
	skip_reason = ""
}

{ sub(/\r$/, "") }

/^# 1\.\.[0-9]+/ {
	plan = $2
	sub(/^1\.\./, "", plan)
	if (/# SKIP/) {
		skip_reason = $0
		sub(/.*# SKIP */, "", skip_reason)
	}
}

/^# (not )?ok [0-9]+/ {
	row = $0
	ok = row !~ /^# not /
	sub(/^# (not )?ok [0-9]+ *(- )?/, "", row)
	reason = ""
	skip = row ~ /# SKIP/
	if (skip) {
		reason = row
		sub(/.*# SKIP *:? */, "", reason)
		sub(/ *# SKIP.*/, "", row)
	}
	if (skip && row == "")
		skip_reason = reason
	else
		count(ok, row, skip, reason)
}

/^(not )?ok [0-9]+ selftests: / {
	test = $0
	sub(/^(not )?ok [0-9]+ selftests: [^:]*: /, "", test)
	rest = test
	sub(/ .*/, "", test)
	sub(/^[^ ]* */, "", rest)
	bad = 0
	for (i = 1; i <= rows; i++)
		bad += buffer_kind[i] == "fail"
	if (rest ~ /# SKIP/)
		count(1, "(all)", 1, skip_reason ? skip_reason : "no reason given")
	else if (/^not / && !bad)
		count(0, "(the program) " rest)
	else if (rows == 0)
		count(1, "(the program)")
	else if (plan != "" && plan != rows)
		count(0, "ran " rows " rows of " plan)
	flush_rows(test)
}

END {
	if (rows) {
		count(0, "the output ends before the test does")
		flush_rows("?")
	}
	for (i = 1; i <= n; i++)
		if (!seen[i]) {
			failed++
			print "fail", name[i], regex[i] " (has to fail here, but no such row has run)"
		}
	print "sum", passed + 0, failed + 0, skipped + 0
}
