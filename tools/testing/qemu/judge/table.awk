# SPDX-License-Identifier: GPL-2.0-only
#
# The "# memattr: key=value..." lines of a cell's KTAP as a table for people: for
# each stage-1 type what a guest gets from a BAR through an ordinary VMA and
# through vfio-pci's. Exits 1 if a row is missing or wrong.

function type(attr)
{
	return attr == "0x00" ? "Device-nGnRnE" : attr == "0x04" ? "Device-nGnRE" : \
	       attr == "0x08" ? "Device-nGRE" : attr == "0x0c" ? "Device-GRE" : \
	       attr == "0x44" ? "Normal-NC" : attr == "0xbb" ? "Normal-WT" : \
	       attr == "0xff" ? "Normal-WB" : attr
}

# What a cell of the table shows, with a mark for what wants an explanation
function entry(vma, s1,	key, mark)
{
	key = vma SUBSEP s1
	if (!(key in result)) {
		bad = 1
		return "not tested"
	}
	if (verdict[key] == "deviation") {
		mark = " (" ++notes ")"
		note[notes] = "(" notes ") platform deviation: " platform \
			" combines stage 1 " type(s1) " and stage 2 " \
			(s2[key] == "0x5" ? "Normal-NC" : "Device-nGnRE") " to " \
			type(result[key]) ", the architecture to " \
			type(rule[key]) ";\n      it does so without KVM, too"
	} else if (verdict[key] != "pass") {
		mark = " WRONG"
		bad = 1
	}
	return type(result[key]) mark
}

$1 == "#" && $2 == "#" && $3 == "memattr:" {
	delete v
	for (i = 4; i <= NF; i++) {
		split($i, pair, "=")
		v[pair[1]] = pair[2]
	}
	key = v["vma"] SUBSEP v["s1"]
	# The first row of a kind is the plain read or write fault.
	if (key in result)
		next
	result[key] = v["result"]
	rule[key] = v["rule"]
	s2[key] = v["s2"]
	verdict[key] = v["verdict"]
	oracle = v["oracle"] == "at" ? "as the CPU computes it (AT S12E1R)" : \
		"by the rules, from the stage-2 descriptor"
	fwb = v["fwb"] == 1 ? "FEAT_S2FWB" : "no FEAT_S2FWB"
}

END {
	platform = "QEMU"
	print ""
	print cell " (" fwb "): the type a guest gets, " oracle
	print ""
	printf "  %-16s %-22s %-22s %s\n", "guest's stage 1", "ordinary VMA (sysfs)",
		"vfio-pci VMA", "architecture, vfio-pci"
	n = split("0x00 0x04 0x08 0x0c 0x44 0xbb 0xff", order, " ")
	for (i = 1; i <= n; i++) {
		s1 = order[i]
		printf "  %-16s %-22s %-22s %s\n", type(s1), entry("sysfs", s1),
			entry("vfio-pci", s1), type(rule["vfio-pci" SUBSEP s1])
	}
	for (i = 1; i <= notes; i++)
		print "  " note[i]
	exit bad
}
