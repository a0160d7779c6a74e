#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
#
# The harness on bad input: one clear line, a non-zero exit, nothing half done.
# Needs a kernel and an initramfs in build/6.1 ("make harness" sees to it).

load common

cell=6.1-4k-max-vhe

# Nothing is installed, but for what it takes to say so.
bare()
{
	for name in cat chmod dirname grep rm; do
		ln -s "$(command -v $name)" "$tmp/bin"
	done
	shim uname <<<'echo x86_64'
	shim apt-get <<<'exit 100'
	shim id <<<"echo ${1:-1000}"
	PATH=$tmp/bin
}

@test "what is missing is named without root, with the command to run; per verb" {
	bare
	fails_with "as root, run: apt-get update && apt-get install" /bin/sh "$qemu/host/deps" boot
	grep -q qemu-system-arm <<<"$output"
	! grep -q shellcheck <<<"$output" || false
	fails_with "gcc-aarch64-linux-gnu" /bin/sh "$qemu/host/deps" build
	! grep -q qemu-system-arm <<<"$output" || false
	for llvm in -16 1; do
		LLVM=$llvm fails_with "clang${llvm#1} lld${llvm#1} llvm${llvm#1}" /bin/sh "$qemu/host/deps" clang
	done
	# What is there by other means will do.
	LLVM=/opt/llvm/bin/ /bin/sh "$qemu/host/deps" clang
	QEMU=/opt/qemu /bin/sh "$qemu/host/deps" boot
	shim qemu-system-aarch64 </dev/null
	/bin/sh "$qemu/host/deps" boot
}

@test "an arm64 machine needs no cross compiler" {
	bare
	shim uname <<<'echo aarch64'
	fails_with "install" /bin/sh "$qemu/host/deps" build
	! grep -q aarch64-linux-gnu <<<"$output" || false
	shim make <<<'echo "$@"'
	[[ $(JOBS=1 /bin/sh "$qemu/build/kmake" Image) == *" CROSS_COMPILE= CC=ccache gcc "* ]]
	# But for x86-64, of which an x86-64 has its own
	fails_with "gcc-x86-64-linux-gnu" /bin/sh "$qemu/host/deps" x86
	shim uname <<<'echo x86_64'
	run /bin/sh "$qemu/host/deps" x86
	! grep -q x86-64-linux-gnu <<<"$output" || false
	[[ $(JOBS=1 /bin/sh "$qemu/build/kmake" Image) == *" CC=ccache aarch64-linux-gnu-gcc "* ]]
}

@test "no network: apt-get's failure is an error that says so" {
	shim apt-get <<<'exit 100'
	fails_with "is there a network" "$qemu/build/debian-unpack" bookworm arm64 "$tmp/bb" busybox-static
	[ ! -e "$tmp/bb" ]
	rm "$tmp/bin/apt-get"
	bare 0
	fails_with "is there a network" /bin/sh "$qemu/host/deps" boot
}

@test "a meta package stands for its kernel, in any language; lists are fetched once" {
	shim apt-cache <<-'END'
		case ${LANGUAGE:-}$LC_ALL in
		C*) echo "  Depends: linux-image-6.12.1+deb12-arm64-16k" ;;
		*) echo "  Haengt ab von: linux-image-6.12.1+deb12-arm64-16k" ;;
		esac
	END
	shim apt-get <<-END
		echo "\$@" >>$tmp/apt
		[ "\$1" != download ] || : >package.deb
	END
	shim dpkg-deb <<<'mkdir -p "$3"'
	for _ in 1 2; do
		LANGUAGE=de LC_ALL=de_DE.UTF-8 "$qemu/build/debian-unpack" bookworm arm64 \
			"$tmp/out" linux-image-6.12-arm64-16k
	done
	[ "$(grep -c "^download .* linux-image-6.12.1+deb12-arm64-16k" "$tmp/apt")" -eq 2 ]
	[ "$(grep -c ^update "$tmp/apt")" -eq 1 ]
}

@test "without Python, which the plan takes, that is said" {
	for name in awk find make sed sh; do
		ln -s "$(command -v $name)" "$tmp/bin"
	done
	bare
	run make O="$tmp/o" tree
	[ "$status" -ne 0 ]
	grep -q "^error: missing: .*python3.*; as root, run: apt-get update" <<<"$output"
}

@test "no apt: what is missing is named" {
	bare
	rm "$tmp/bin/apt-get"
	fails_with "missing: qemu-system-aarch64: install" /bin/sh "$qemu/host/deps" boot
}

@test "what is wrong with a knob is said in one line" {
	fails_with "no base 9.9" make CELL=9.9-4k-max-vhe tree
	fails_with "unknown variable CEL" make CEL=6.1-4k-max-vhe run
	fails_with "no cells named most" make CELLS=most check
	fails_with "CELLS= is empty" make CELLS= check
}

@test "a directory that the kernel does not build in is refused" {
	fails_with "may have a space or a colon" make O="$tmp/a b" kernel
	fails_with "may have a space or a colon" make O="$tmp/a:b" kernel
	cp -r --parents Makefile bases series-* tools "$tmp/bin"
	mv "$tmp/bin" "$tmp/b in"
	fails_with "may have a space or a colon" make -C "$tmp/b in" kernel
	[ ! -e "$tmp/a b" ] && [ ! -e "$tmp/a:b" ] && [ ! -e "$tmp/b in/build" ]
}

@test "what make has not put there is neither built in nor removed" {
	mkdir "$tmp/full"
	echo precious >"$tmp/full/file"
	fails_with "has things in it" make O="$tmp/full" tree
	fails_with "has things in it" make O="$tmp/full" clean
	[ "$(ls -A "$tmp/full")" = file ]
	mkdir "$tmp/o"
	"$qemu/host/locked" "$tmp/o" touch "$tmp/o/built"
	make O="$tmp/o" clean
	[ ! -e "$tmp/o" ]
}

@test "a second make in the same directory is refused, in another it is not" {
	"$qemu/host/locked" "$tmp/o" sleep 60 &
	sleep 0.5
	fails_with "another make is at work in O=$tmp/o" make O="$tmp/o" clean
	[ -e "$tmp/o" ]
	make O="$tmp/other" clean
	kill $!
	wait $! || :
	make O="$tmp/o" clean
}

@test "make -n changes nothing" {
	make -n O="$tmp/new" check >"$tmp/steps"
	grep -q "host/step .*boot 6.1-4k-max-vhe" "$tmp/steps"
	[ ! -e "$tmp/new" ]
	mkdir -p "$tmp/o/cell/6.1-4k-max-vhe" "$tmp/o/results"
	touch "$tmp/o/CACHEDIR.TAG" "$tmp/o/cell/6.1-4k-max-vhe/result.json"
	find "$tmp/o" -printf '%p %T@\n' | sort >"$tmp/before"
	make -n O="$tmp/o" check run demo demo-vm regression clean >/dev/null
	find "$tmp/o" -printf '%p %T@\n' | sort | diff "$tmp/before" -
}

@test "what happens to be in the environment is no knob" {
	run env BOOT=hang TEST=nothing SUITE=own make -n O="$tmp/o" check
	[ "$status" -eq 0 ]
	! grep -q -e BOOT=hang -e "TEST='nothing'" -e "SUITE=own " <<<"$output" || false
}

@test "a check is of all tests; a run and a shell leave its results alone" {
	make -n O="$tmp/o" check TEST=one SUITE=own >"$tmp/steps"
	grep -q "SUITE=series .*TEST='' .*/cell/6.1-4k-max-vhe " "$tmp/steps"
	! grep -q -e "TEST='one'" -e SUITE=own "$tmp/steps" || false
	make -n O="$tmp/o" run TEST=one >"$tmp/steps"
	grep -q "TEST='one' .* $tmp/o/run/6.1-4k-max-vhe " "$tmp/steps"
	make -n O="$tmp/o" boot >"$tmp/steps"
	grep -q "$tmp/o/boot/6.1-4k-max-vhe " "$tmp/steps"
	! grep -q -e "rm .*$tmp/o/cell" -e "rm .*$tmp/o/run" "$tmp/steps" || false
}

@test "a verb that does not exist is refused" {
	run make O="$tmp/o" frobnicate
	[ "$status" -ne 0 ]
	grep -q "No rule to make target 'frobnicate'" <<<"$output"
}

@test "a step that is interrupted leaves no process behind" {
	shim hang <<<'sleep 30; :'
	"$qemu/host/step" "$tmp/log" hanging hang 2>"$tmp/err" &
	sleep 0.5
	kill -TERM $!
	wait $! || status=$?
	[ "$status" -eq 130 ]
	grep -q "error: hanging: interrupted" "$tmp/err"
	[ -z "$(pgrep -f "$tmp/bin/hang")" ]
}

@test "a step leaves for the report what it took, or that it failed" {
	export HARNESS_LOCKED=$tmp/o
	mkdir -p "$tmp/o/.running"
	shim busy <<<'awk "BEGIN { for (i = 0; i < 20000000; i++) n += i }"'
	"$qemu/host/step" "$tmp/o/busy.log" busy busy
	[ "$(awk '$1 > 0 && $2 <= $1' "$tmp/o/.times/busy.log" | wc -l)" -eq 1 ]
	run "$qemu/host/step" "$tmp/o/bad.log" bad false
	[ "$status" -ne 0 ] && [ -e "$tmp/o/.failed/bad.log" ] && [ ! -e "$tmp/o/.times/bad.log" ]
	"$qemu/host/step" "$tmp/o/bad.log" good true
	[ ! -e "$tmp/o/.failed/bad.log" ]
}

@test "a config option the kernel does not have is named" {
	echo CONFIG_NO_SUCH_OPTION=y >"$tmp/fragment"
	shim fake-make <<<"touch $tmp/k/.config"
	fails_with "this kernel has no CONFIG_NO_SUCH_OPTION=y" \
		"$qemu/build/configure" "$tmp/k" "$tmp/fragment" -- fake-make
	[ ! -e "$tmp/k/fragments" ]
}

@test "KSRC: picks the base, restricts the cells, and allows no other" {
	mkdir "$tmp/k"
	printf 'VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 999\n' >"$tmp/k/Makefile"
	make -n KSRC="$tmp/k" O="$tmp/o" tree | grep -q "$tmp/o/6.12/tree"
	make -n KSRC="$tmp/k" O="$tmp/o" CELLS=wide check >"$tmp/steps"
	grep -q 'report.py .* 6.12-' "$tmp/steps"
	! grep -q 'report.py .* 6.1-' "$tmp/steps" || false
	fails_with "is 6.12.y, CELL=6.1-4k-max-vhe is of 6.1" \
		make KSRC="$tmp/k" CELL=6.1-4k-max-vhe run
	fails_with "is not a kernel tree" make KSRC="$tmp/none" tree
	sed -i 's/12/13/' "$tmp/k/Makefile"
	fails_with "is 6.13.999, there are series for: 6.1 6.12" make KSRC="$tmp/k" tree
	# The newest is tried on what is newer.
	printf 'VERSION = 7\nPATCHLEVEL = 40\nSUBLEVEL = 0\nEXTRAVERSION = -rc1\n' >"$tmp/k/Makefile"
	make -n KSRC="$tmp/k" O="$tmp/o" tree | grep -q "$tmp/o/7.3/tree"
}

@test "a checker that is missing is an error" {
	shim shellcheck <<<'exit 127'
	run "$qemu/host/lint-fast"
	[ "$status" -ne 0 ]
	grep -q "^not ok 1 - shellcheck" <<<"$output"
}

@test "a step that fails leaves no result of before to those that depend on it" {
	shim apt-get <<<'exit 100'
	mkdir -p "$tmp/o/cell/6.1-stock-4k-max-vhe"
	touch "$tmp/o/CACHEDIR.TAG"
	cd "$tmp/o/cell/6.1-stock-4k-max-vhe"
	echo '{"name": "6.1-stock-4k-max-vhe", "verdict": "pass"}' >result.json
	touch booted pass
	cd "$root"
	SRCDIR=$tmp/none run make O="$tmp/o" CELLS=6.1-stock-4k-max-vhe check
	echo "$output"
	[ "$status" -ne 0 ]
	grep -q "6.1-stock-4k-max-vhe: no result: it did not get to run" <<<"$output"
	grep -qx "0 passed, 1 failed, 0 skipped" <<<"$output"
	[ ! -e "$tmp/o/cell/6.1-stock-4k-max-vhe/result.json" ]
}

@test "a program that fails without a failed row bails out" {
	mkdir -p "$tmp/o/results"
	shim broken <<<'echo "1..2"; echo "ok 1 - one"; exit 1'
	run "$qemu/host/tap" some "$tmp/o/results" broken
	[ "$status" -ne 0 ]
	grep -q "^Bail out! exit status 1" "$tmp/o/results/tap"
}

@test "a make that is interrupted leaves no process behind" {
	shim apt-get <<<"echo >$tmp/started; sleep 30; :"
	make O="$tmp/o" busybox >"$tmp/out" 2>&1 &
	for _ in $(seq 50); do
		[ ! -e "$tmp/started" ] || break
		sleep 0.1
	done
	kill -TERM $!
	wait $! || status=$?
	[ "$status" -ne 0 ]
	sleep 0.3
	cat "$tmp/out"
	[ -z "$(pgrep -f "$tmp/bin/apt-get")" ]
	[ ! -e "$tmp/o/busybox-arm64" ]
}

# ktap_of DIR TYPE NOTE: what a VM leaves that gets TYPE for ioremap_wc()
ktap_of()
{
	mkdir "$tmp/$1"
	printf '%s\n' "# # memattr: vma=ioremap_wc s1=0x44 result=$2 verdict=pass" \
		"# ok 1 ioremap_wc: type" ${3:+"# # ioremap_wc: unaligned: $3"} \
		"# ok 3 ioremap_wc: unaligned" >"$tmp/$1/ktap"
}

@test "demo-vm shows both sides, and is red if the VM on the stock kernel does not die" {
	ktap_of 6.1-stock-4k 0x04 "the VM died: error: kvm run failed Bad address"
	ktap_of 6.1-4k 0x44
	run "$qemu/judge/demo_vm.py" "$tmp/6.1-stock-4k" "$tmp/6.1-4k"
	[ "$status" -eq 0 ]
	grep -q "ioremap_wc *Normal-NC *Device-nGnRE *the VM dies *Normal-NC *works" <<<"$output"
	rm -r "$tmp/6.1-stock-4k"
	ktap_of 6.1-stock-4k 0x04
	fails_with "not as it should be: 6.1-stock-4k: ioremap_wc" \
		"$qemu/judge/demo_vm.py" "$tmp/6.1-stock-4k" "$tmp/6.1-4k"
}

# mutant NAME ROW: a fault in $tmp/root, which is a copy of this, for a tree with one file
mutant()
{
	[ -e "$tmp/root" ] || {
		mkdir -p "$tmp/root" "$tmp/o/6.1/headers" "$tmp/o/6.1/selftests" \
			"$tmp/o/kernel/6.1-4k"
		cp -r --parents bases series-* tools/series "$qemu/plan" "$qemu/mutants/run" \
			"$tmp/root"
		git init -q "$tmp/o/6.1/tree"
		touch "$tmp/o/6.1/series.id"
		echo right >"$tmp/o/6.1/tree/file"
		run=$tmp/root/$qemu/mutants/run
	}
	mkdir -p "$tmp/root/$qemu/mutants/a_test"
	printf '%s\n' "What: a fault" "Cell: 6.1-4k-max-vhe" "Row: $2" --- \
		"--- a/file" "+++ b/file" "@@ -1 +1 @@" "-${3:-right}" +wrong \
		>"$tmp/root/$qemu/mutants/a_test/$1.patch"
}

@test "a mutant: killed by its row, seen by another, no kill, survived, not built, not applied; undone" {
	mutant killed "^its row$"
	mutant other "^no row$"
	mutant rotten "^its row$" wrong
	shim make <<-'END'
		for arg; do
			case $arg in
			O=*) o=${arg#O=} ;;
			esac
		done
		status=$STATUS
		[ "$(cat "$o/6.1/tree/file")" = wrong ] || status=$STATUS.right
		mkdir -p "$o/run/6.1-4k-max-vhe"
		[ ! -e "$status" ] ||
			echo "{ \"problems\": [], \"tests\": [ { \"name\": \"a_test\", \"rows\": [
				{ \"name\": \"its row\", \"why\": \"\", \"status\": \"$(cat "$status")\" } ] } ] }" \
				>"$o/run/6.1-4k-max-vhe/result.json"
	END
	export STATUS=$tmp/status
	echo fail >"$STATUS"
	echo pass >"$STATUS.right"
	run "$run" --workers=1 "$tmp/o" "$tmp/out" killed other rotten killed
	echo "$output"
	[ "$status" -ne 0 ]
	[ "$(grep -c "^killed .* killed: a fault: a_test: its row$" <<<"$output")" -eq 2 ]
	grep -q "^FAILED .* other: .*: seen, but not by its row: mend it, or .*/other.patch: its row$" <<<"$output"
	grep -q "^FAILED .* rotten: .*: does not apply: mend .*/rotten.patch$" <<<"$output"
	[ "${lines[-1]}" = "2/4 killed" ]
	# What fails without the fault, too, has not seen it.
	echo fail >"$STATUS.right"
	run "$run" "$tmp/o" "$tmp/out" killed
	[ "$status" -ne 0 ]
	grep -q "no kill, it does not pass without the mutant either: its row" <<<"$output"
	echo pass >"$STATUS"
	run "$run" --tap "$tmp/o" "$tmp/out" killed
	[ "$status" -ne 0 ]
	grep -q "^not ok 1 - .*: SURVIVED$" <<<"$output"
	rm "$STATUS"
	run "$run" "$tmp/o" "$tmp/out" killed
	grep -q "does not build or boot: see $tmp/out/killed/log" <<<"$output"
	[ "$(cat "$tmp/o/6.1/tree/file")" = right ] && [ ! -e "$tmp/o/mutants" ]
}

@test "a mutant that is unknown, or whose head is not right, is named" {
	fails_with "unknown MUTANT nonsense, there are: " make O="$tmp/o" mutants MUTANT=nonsense
	rm -rf "$tmp/o"
	mutant bad "^its row$"
	sed -i /^Row/d "$tmp/root/$qemu/mutants/a_test/bad.patch"
	fails_with 'bad.patch: it has no line "Row:"' "$run" "$tmp/o" "$tmp/out" bad
	mutant bad "("
	fails_with "bad.patch: Row: " "$run" "$tmp/o" "$tmp/out" bad
	[ ! -e "$tmp/out" ]
}
