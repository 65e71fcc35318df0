/* Prints the unwinding rows of a file at the addresses (hexadecimal, one a line) on standard input, in the words of
 * `readelf --debug-dump=frames-interp`: "ADDRESS CFA REG=RULE …", without registers that have no rule; "ADDRESS -"
 * where there is no row.
 *
 *     cfidump FILE < ADDRESSES */
#include "engine/stack/place.h"
#include "engine/stack/row.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const char *register_name(unsigned reg, const struct row *row)
{
	static const char *const names[] = {"rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10",
	        "r11", "r12", "r13", "r14", "r15", "ra"};
	if (reg == row->return_register)
		return "ra";
	return reg < sizeof(names) / sizeof(*names) ? names[reg] : "?";
}

static void print_rule(const struct row_rule *rule, const struct row *row)
{
	printf(" %s=", register_name(rule->reg, row));
	switch (rule->kind) {
	case RULE_SAME:
		printf("s");
		return;
	case RULE_UNDEFINED:
		printf("u");
		return;
	case RULE_AT_CFA:
		printf("c%+d", rule->value);
		return;
	case RULE_IS_CFA:
		printf("v%+d", rule->value);
		return;
	case RULE_REGISTER:
		printf("r%d", rule->value);
		return;
	case RULE_AT_EXPRESSION:
		printf("exp");
		return;
	case RULE_IS_EXPRESSION:
		printf("vexp");
		return;
	}
}

static void print_row(const struct row *row)
{
	if (row->cfa_kind == CFA_EXPRESSION)
		printf("exp");
	else
		printf("%s%+d", register_name(row->cfa_register, row), row->cfa_value);
	for (size_t i = 0; i < row->nrules; i++)
		print_rule(&row->rules[i], row);
}

int main(int argc, char **argv)
{
	int fd = argc == 2 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
	struct module *module = fd >= 0 ? module_open(fd, argv[1]) : NULL;
	uint64_t va;
	if (!module) {
		fprintf(stderr, "usage: cfidump FILE < ADDRESSES\n");
		return 2;
	}
	while (scanf("%" SCNx64, &va) == 1) {
		struct place *place = module_place(module, va);
		const struct row *row = place ? place_row(module, place) : NULL;
		printf("%" PRIx64 " ", va);
		if (row)
			print_row(row);
		else
			printf("-");
		putchar('\n');
	}
	module_free(module);
	return 0;
}
