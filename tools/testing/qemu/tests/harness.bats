#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
#
# The harness on bad input: one clear line, a non-zero exit, nothing half done.
# Needs a kernel and an initramfs in build/6.1 ("make harness" sees to it).

load common

cell=6.1-4k-max-vhe

# boot VARIABLE=VALUE...: one boot of the cell with results in $tmp/results
boot()
{
	env "$@" "$qemu/boot/run" "$cell" "$tmp/results" "$o/6.1/kernel-4k" \
		"$o/6.1/image-4k.cpio" "$o/6.1/selftests/install/kselftest-list.txt"
}

@test "a missing package without root: the command to run is named" {
	shim dpkg-query </dev/null
	shim id <<<'echo 1000'
	fails_with "as root, run: apt-get update && apt-get install" "$qemu/host/deps"
	grep -q qemu-system-arm <<<"$output"
}

@test "no network: apt-get's failure is an error that says so" {
	shim dpkg-query </dev/null
	shim id <<<'echo 0'
	shim apt-get <<<'exit 100'
	fails_with "is there a network" "$qemu/host/deps"
	fails_with "is there a network" "$qemu/build/debian-unpack" arm64 "$tmp/bb" busybox-static
	[ ! -e "$tmp/bb" ]
}

@test "not a Debian: said" {
	ln -s /usr/bin/dirname "$tmp/bin"
	fails_with "not a Debian" env PATH="$tmp/bin" /bin/sh "$qemu/host/deps"
}

@test "an unknown CELL, BASE or variable is named, with those there are" {
	fails_with "no base 9.9" make CELL=9.9-4k-max-vhe tree
	fails_with "no CPU z80" make CELL=6.1-4k-z80-vhe verdict
	fails_with "no granule 5k" make GRANULE=5k kernel
	fails_with "no mode hv" make CELL=6.1-4k-max-hv verdict
	fails_with "no VHE" make CELL=6.1-4k-cortex-a57-vhe verdict
	fails_with "no base 9.9" make BASE=9.9 tree
	fails_with "unknown variable CEL" make CEL=6.1-4k-max-vhe verdict
	fails_with "unknown SUITE mine" make SUITE=mine verdict
	fails_with "no cells named most" "$qemu/host/check" "$tmp" 1 false most
	fails_with "no CPU z80" "$qemu/host/check" "$tmp" 1 false 6.1-4k-z80-vhe
}

@test "an unknown TEST is named, with those there are" {
	fails_with "unknown TEST nonsense*, there are: " boot TEST='nonsense*'
	grep -q vfio_bar_memattr <<<"$output"
}

@test "a verb that does not exist is refused" {
	run make frobnicate
	[ "$status" -ne 0 ]
	grep -q "No rule to make target 'frobnicate'" <<<"$output"
}

@test "QEMU missing, too old, or not QEMU" {
	fails_with "no-such-qemu is missing" boot QEMU=no-such-qemu
	shim old-qemu <<<'echo "QEMU emulator version 6.2.0"'
	fails_with "older than the 7.2" boot QEMU=old-qemu
	fails_with "is it QEMU?" boot QEMU=true
}

@test "a host that this QEMU cannot run is a skip with its reason, another QEMU boots it" {
	shim qemu-7.2 <<<'echo "QEMU emulator version 7.2.22"'
	cell=6.12-16k-max-protected
	run boot QEMU=qemu-7.2
	[ "$status" -eq 0 ]
	grep -q "^skip: under QEMU 7.2" "$tmp/results/verdict"
	grep -q "^skip	(the cell)	(all)	under QEMU 7.2" "$tmp/results/rows"
	shim qemu-10.0 <<-'END'
		[ "$1" != --version ] || { echo "QEMU emulator version 10.0.2"; exit; }
		exit 3
	END
	fails_with "QEMU died, exit status 3" boot QEMU=qemu-10.0
}

@test "QEMU killed: the exit status is shown" {
	shim killed-qemu <<-'END'
		[ "$1" != --version ] || { echo "QEMU emulator version 7.2.0"; exit; }
		echo "terminating on signal" >&2
		kill -9 $$
	END
	fails_with "QEMU died, exit status 137" boot QEMU=killed-qemu
	[[ $(cat "$tmp/results/verdict") == fail:* ]]
}

@test "a guest that hangs is killed at the limit, its last lines shown" {
	fails_with "hung, killed after 4 s" boot BOOT=hang LIMIT=4
	grep -q "the last lines of .*console.log" <<<"$output"
	[ -z "$(pgrep -f "$tmp/results/ktap")" ]
}

@test "a guest that panics fails, its last lines shown" {
	fails_with "the console says: " boot BOOT=panic
	grep -q "Kernel panic" <<<"$output"
}

@test "a WARN on the console fails a run whose tests pass" {
	fails_with "the console says: " boot BOOT=warn
	grep -q "WARNING: CPU: 0" <<<"$output"
}

@test "a guest that ends early fails" {
	fails_with "the guest ended early" boot BOOT=early
}

@test "a boot that succeeds leaves ktap, console.log, qemu-cmd, config" {
	run boot TEST=vfio_bar_memattr
	echo "$output"
	[ "$status" -eq 0 ]
	for file in ktap console.log qemu-cmd config; do
		[ -s "$tmp/results/$file" ]
	done
	[ "$(cat "$tmp/results/verdict")" = pass ]
}

@test "a stage that is interrupted leaves no process behind" {
	shim hang <<<'sleep 30; :'
	"$qemu/host/stage" "$tmp/log" hanging hang 2>"$tmp/err" &
	sleep 0.5
	kill -TERM $!
	wait $! || status=$?
	[ "$status" -eq 130 ]
	grep -q "error: hanging: interrupted" "$tmp/err"
	[ -z "$(pgrep -f "$tmp/bin/hang")" ]
}

@test "a config option the kernel does not have is named" {
	echo CONFIG_NO_SUCH_OPTION=y >"$tmp/fragment"
	shim fake-make <<<"touch $tmp/k/.config"
	fails_with "this kernel has no CONFIG_NO_SUCH_OPTION=y" \
		"$qemu/build/configure" "$tmp/k" "$tmp/fragment" -- fake-make
	[ ! -e "$tmp/k/fragments" ]
}

# rows: what ktap.awk makes of standard input, options passed on
rows()
{
	awk "$@" -f "$qemu/judge/ktap.awk" | tr '\t' ' '
}

@test "KTAP: rows are counted, a skip has its reason" {
	run rows <<-'END'
		# selftests: kvm: a
		# 1..3
		# ok 1 one
		# not ok 2 two
		# ok 3 three # SKIP because
		not ok 1 selftests: kvm: a # exit=1
	END
	[ "${lines[-1]}" = "sum 1 1 1" ]
	grep -qx "fail a two" <<<"$output"
	grep -qx "skip a three because" <<<"$output"
}

@test "KTAP: a program that dies, or runs too few rows, fails" {
	run rows <<-'END'
		# 1..3
		# ok 1 one
		not ok 1 selftests: kvm: a # exit=139
		# 1..3
		# ok 1 one
		ok 2 selftests: kvm: b
		# 1..0 # SKIP no /dev/kvm
		ok 3 selftests: kvm: c # SKIP
		# 1..1
		# ok 1 one
	END
	echo "$output"
	[ "${lines[-1]}" = "sum 3 3 1" ]
	grep -qx "fail a (the program) # exit=139" <<<"$output"
	grep -qx "fail b ran 1 rows of 3" <<<"$output"
	grep -qx "skip c (all) no /dev/kvm" <<<"$output"
}

@test "KTAP: in a control, what has to fail and passes is a failure" {
	printf '%s\n' "a ^two" "a ^three" "a ^five" >"$tmp/expect"
	run rows -v expect="$tmp/expect" <<-'END'
		# 1..4
		# ok 1 one
		# not ok 2 two
		# ok 3 three
		# not ok 4 four
		not ok 1 selftests: kvm: a # exit=1
	END
	echo "$output"
	[ "${lines[-1]}" = "sum 2 3 0" ]
	grep -qx "fail a three (has to fail here)" <<<"$output"
	grep -qx "fail a four" <<<"$output"
	grep -q "fail a ^five (has to fail here, but" <<<"$output"
}

@test "the table of the demo: a wrong or missing row is an error" {
	mkdir "$tmp/cell"
	fails_with "a row is wrong or missing" "$qemu/judge/table" "$tmp/cell"
	for s1 in 00 04 08 0c 44 bb ff; do
		for vma in sysfs vfio-pci; do
			echo "# # memattr: vma=$vma s1=0x$s1 s2=0x5 fwb=1 result=0x$s1 rule=0x$s1 calibrated=0x$s1 verdict=pass oracle=at"
		done
	done >"$tmp/cell/ktap"
	"$qemu/judge/table" "$tmp/cell"
	sed -i '/vfio-pci s1=0x44/s/=pass/=fail/' "$tmp/cell/ktap"
	fails_with "a row is wrong or missing" "$qemu/judge/table" "$tmp/cell"
	grep -q "WRONG" <<<"$output"
}

# factors: standard input's cells as "base granule cpu gic mode"
factors()
{
	sed -e 's/+gicv2-/ 2 /; t; s/-\([a-z]*\)$/ 3 \1/' |
		sed 's/^\([^-]*\)-\([^-]*\)-/\1 \2 /'
}

# pairs: of any two fields of standard input's lines
pairs()
{
	awk '{ for (i = 1; i < NF; i++) for (j = i + 1; j <= NF; j++) print i, $i, j, $j }' |
		sort -u
}

@test "the core cells cover each pair of values that there is" {
	"$qemu/boot/cells" core | grep -v -e -stock- -e -base- | factors >"$tmp/core"
	[ "$(wc -l <"$tmp/core")" -ge 12 ]
	"$qemu/boot/cells" all | grep -v -e -stock- -e -base- | factors >"$tmp/all"
	[ "$(wc -l <"$tmp/all")" -eq 88 ]
	run comm -13 <(pairs <"$tmp/core") <(pairs <"$tmp/all")
	echo "not covered: $output"
	[ -z "$output" ]
}

# A cell's results: a test that passed, one with skips, and whatever is given
results()
{
	mkdir -p "$tmp/6.1/results/$cell"
	echo pass >"$tmp/6.1/results/$cell/verdict"
	printf '%s\n' "$@" "test	a	3	0	0" "test	b	1	0	1" \
		"skip	b	a row	no <such> thing" "sum	4	0	1" \
		>"$tmp/6.1/results/$cell/rows"
	for check in lint-fast harness; do
		"$qemu/judge/rows" "$tmp/results/$check" true
	done
}

@test "the summary: a mark for each test of a cell, reasons once, a page" {
	results
	mkdir "$tmp/6.1/results/6.1-16k-max-vhe"
	echo "skip: cannot" >"$tmp/6.1/results/6.1-16k-max-vhe/verdict"
	echo "skip	(the cell)	(all)	cannot" >"$tmp/6.1/results/6.1-16k-max-vhe/rows"
	run "$qemu/judge/summary" "$tmp" 61 "$cell" 6.1-16k-max-vhe
	echo "$output"
	[ "$status" -eq 0 ]
	[ "${lines[-1]}" = "6 passed, 0 failed, 2 skipped" ]
	grep -q "^  $cell *ok ~" <<<"$output"
	grep -q "^  6.1-16k-max-vhe *-  -" <<<"$output"
	grep -q "  1  no <such> thing" <<<"$output"
	grep -q "no &lt;such&gt; thing" "$tmp/results/index.html"
	for file in ktap console.log qemu-cmd config; do
		grep -q "href=\"../6.1/results/$cell/$file\"" "$tmp/results/index.html"
	done
	# It needs no script.
	[ -z "$(grep -i "<script" "$tmp/results/index.html")" ]
}

@test "the summary: a row that failed, and a cell without a result, fail" {
	results "fail	c	this one" "test	c	0	1	0"
	echo "fail: 1 rows failed, 4 passed, 1 skipped" >"$tmp/6.1/results/$cell/verdict"
	mkdir "$tmp/6.1/results/regression-$cell"
	run "$qemu/judge/summary" "$tmp" 61 "$cell" 6.1-16k-max-vhe
	echo "$output"
	[ "$status" -ne 0 ]
	[ "${lines[-1]}" = "6 passed, 3 failed, 1 skipped" ]
	grep -q "$cell: c: this one" <<<"$output"
	grep -q "6.1-16k-max-vhe: .*did not get to boot" <<<"$output"
	grep -q "regression-$cell: .*did not run" <<<"$output"
	grep -q "$cell: c: this one" "$tmp/results/index.html"
}

@test "a check that is no cell: its TAP, or its exit status" {
	shim some-tap <<<'printf "1..3\nok 1 one\nnot ok 2 two\nok 3 three # skip no\n"; exit 1'
	fails_with "some failed" "$qemu/judge/rows" "$tmp/some" some-tap
	grep -qx "fail	some	two" "$tmp/some/rows"
	grep -qx "skip	some	three	no" "$tmp/some/rows"
	[ "$(tail -n 1 "$tmp/some/rows")" = "sum	1	1	1" ]
	shim short-tap <<<'printf "1..2\nok 1 one\n"'
	"$qemu/judge/rows" "$tmp/some" short-tap
	[ "$(tail -n 1 "$tmp/some/rows")" = "sum	1	1	0" ]
	fails_with "some failed" "$qemu/judge/rows" "$tmp/some" false
	[ "$(tail -n 1 "$tmp/some/rows")" = "sum	0	1	0" ]
}

# own KERNEL-CELL LINE...: what the base's own tests said there
own()
{
	local dir=$tmp/results/$1-own
	shift
	mkdir -p "$dir"
	echo ran >"$dir/verdict"
	printf '%s\n' "$@" >"$dir/rows"
}

@test "regression: the same results pass, also failures, a difference does not" {
	printf '%s\n' "# c broken: not this" "c broken: does not build" >"$tmp/list"
	own 6.1-base-4k-max-vhe "test	a	1	0	0" "fail	b	(the program)" "test	b	0	1	0"
	own "$cell" "test	a	1	0	0" "fail	b	(the program)" "test	b	0	1	0"
	run "$qemu/judge/regression" "$tmp" "$cell" 6.1-base-4k-max-vhe own "$tmp/list"
	echo "$output"
	[ "$status" -eq 0 ]
	[ "$output" = "the same: 1 pass, 1 fail, 0 are skipped on both" ]
	grep -qx "skip	c	(all)	does not build" "$tmp/results/regression-$cell/rows"

	own "$cell" "fail	a	(the program)" "test	a	0	1	0" "test	b	1	0	0"
	RERUNS=0 fails_with "differs from the pristine one: a b" \
		"$qemu/judge/regression" "$tmp" "$cell" 6.1-base-4k-max-vhe own "$tmp/list"
	own "$cell" "test	b	1	0	0"
	RERUNS=0 fails_with "differs from the pristine one: a b" \
		"$qemu/judge/regression" "$tmp" "$cell" 6.1-base-4k-max-vhe own "$tmp/list"
	rm "$tmp/results/$cell-own/verdict"
	fails_with "$cell-own: has not run" \
		"$qemu/judge/regression" "$tmp" "$cell" 6.1-base-4k-max-vhe own "$tmp/list"
}

@test "a check that is interrupted leaves no process behind" {
	shim hanging-make <<<"echo \$\$ >$tmp/pid; exec sleep 30"
	"$qemu/host/check" "$tmp" 1 hanging-make "$cell" >"$tmp/out" 2>&1 &
	sleep 1
	kill -TERM $!
	wait $! || status=$?
	[ "$status" -eq 130 ]
	[ -s "$tmp/pid" ]
	[ ! -e "/proc/$(cat "$tmp/pid")" ]
}
