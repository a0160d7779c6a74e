# SPDX-License-Identifier: GPL-2.0-only
#
# Reads the lines of "summary", for summary-text.awk and summary-page.awk:
#
#   cell  NAME  DIR	a cell, and where it left its files
#   check NAME  LOG		what is checked but in no cell
#   test  NAME  TEST  PASSED  FAILED  SKIPPED
#   fail  NAME  TEST  ROW
#   skip  NAME  TEST  ROW  REASON

BEGIN { FS = "\t" }

$1 == "cell" {
	cell[++cells] = $2
	dir[$2] = $3
}
$1 == "check" {
	check[++checks] = $2
	log_of[$2] = $3
}
$1 == "test" {
	# A check is one test, and has its line.
	column = checks ? "" : $3
	if (!checks && !(column in seen)) {
		seen[column] = 1
		test[++tests] = column
	}
	ok[$2, column] = $4
	bad[$2, column] = $5
	left[$2, column] = $6
	passed += $4
}
$1 == "fail" { failure[++failed] = $2 ": " $3 ($4 == "" ? "" : ": " $4) }
$1 == "skip" {
	skipped++
	if ($3 == "(the cell)")
		unused[$2] = 1
	if (!reasons[$5]++)
		reason[++kinds] = $5
}
