/* SPDX-License-Identifier: MIT */
#include "fs/tree/question.h"
#include "fs/tree/question_field.h"

void question_readme(const struct status *status, struct text *text)
{
	static const char before_fields[] =
		"A path below this directory is a question about the agents. It is a\n"
		"directory of links to the agents for which every condition holds. It is\n"
		"never listed here.\n"
		"\n"
		"  ls where/status=idle/label=a100           idle agents with this label\n"
		"  ls where/status=idle,busy/'gpu_free>0'    idle or busy, and a GPU is free\n"
		"  ls where/'gpu=*4090*'/'vram_free>=20G'    by GPU model and free VRAM\n"
		"  ls where/label=a100/label!=reserved       one label, but not another\n"
		"  ls where/status!=idle,busy                agents in any other state\n"
		"  ls where/platform_arch=                   agents that report no platform\n"
		"  cat where/status=idle/*/gpus/0/vram_free  through the links\n"
		"  readlink where/status=idle/label=a100/sort=-vram_free/1\n"
		"                                            most free VRAM on one GPU\n"
		"\n"
		"A condition is FIELD OPERATOR VALUE, without spaces between. A question has\n"
		"at most 8 of them.\n"
		"\n"
		"  = !=        VALUE is one or more patterns, separated by commas. * is any\n"
		"              text, ? one character, [a-z] one of a set, [!a-z] one that is\n"
		"              not in it. The whole value must match, in the same case: gpu=4090\n"
		"              finds nothing, gpu=*4090* does. != holds if = does not: tool!=x\n"
		"              also finds agents without a tool. With an empty VALUE, tool=\n"
		"              finds the agents without a tool, and tool!= those with one.\n"
		"  < <= > >=   VALUE is an integer; K, M, G or T may follow (1024, 1024^2 and\n"
		"              so on). An absent value, or one that is no integer, does not\n"
		"              match.\n"
		"  sort=FIELD  as the last component: the agents in ascending order, named 1, 2,\n"
		"              3 and so on (ls -v). Absent values are last.\n"
		"  sort=-FIELD the same in descending order. Absent values are last, too.\n"
		"\n"
		"If an agent has several values (label, gpu, task, vram_*), one of them has to\n"
		"match; the largest one counts for sort. Two conditions may hold for different\n"
		"GPUs of an agent. VALUE is written as names are: %XX is a byte in hexadecimal,\n"
		"so %2C is a comma, %2A an asterisk, %2F a slash, %25 a percent sign. Quote < >\n"
		"* ? [ in a shell. A wrong condition is an \"Invalid argument\", without a reason\n"
		"in .fleetfs/last_error; an unknown value is not wrong: status=idel is empty. In\n"
		"the directory of a question the name of an agent has %3D for =, %3C for < and\n"
		"%3E for >.\n"
		"\n"
		"Fields:\n";

	(void)status;
	text_bytes(text, before_fields, sizeof(before_fields) - 1);
	question_field_print_all("  ", text);
}
