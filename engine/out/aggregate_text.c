/* What was counted as text: a table, or for each row of a histogram its bars.
 *
 *     syscall:read sum of ret
 *       comm      fd     sum
 *       "cat"      3  131072
 *
 *     syscall:read hist of elapsed
 *       comm="cat"
 *         [512 ns, 1.02 us)      3 |@@@@@@@@@@@@                            |
 *
 * What was not counted is part of it: a table that is not complete says so in its last line. */
#include "engine/out/aggregate.h"
#include "engine/out/palette.h"
#include "engine/out/value.h"

#include <string.h>

enum { BAR_WIDTH = 40, MAX_COLUMNS = SPEC_MAX_KEYS + 2 };

static void add_spaces(struct text *out, size_t n)
{
	while (n--)
		text_addc(out, ' ');
}

/* --- tables --- */

/* Behind the keys: the value, and of an average how many it is of. */
static size_t count_columns(const struct aggregate_schema *schema)
{
	return schema->nkeys + 1 + (schema->kind == AGGREGATE_AVG);
}

static void cell_of(struct text *out, const struct aggregate_row *row, size_t column)
{
	const struct aggregate *aggregate = row->of;
	size_t nkeys = aggregate->schema->nkeys;
	if (column < nkeys) {
		struct value value = aggregate_row_key(row, column);
		value_text(out, &aggregate->columns[column], &value);
	} else if (column == nkeys) {
		aggregate_value_text(out, aggregate, aggregate_row_value(row));
	} else {
		text_addu(out, row->count);
	}
}

static const char *title_of(const struct aggregate_schema *schema, size_t column)
{
	if (column < schema->nkeys)
		return schema->fields[column].name;
	return aggregate_kind_name(column == schema->nkeys ? schema->kind : AGGREGATE_COUNT);
}

static bool is_right(const struct aggregate_schema *schema, size_t column)
{
	return column >= schema->nkeys ||
	       (schema->fields[column].kind <= VALUE_UINT && !(schema->probe_keys >> column & 1));
}

static void add_cell(struct text *out, const char *s, size_t len, size_t width, bool right, bool last)
{
	text_adds(out, "  ");
	if (right)
		add_spaces(out, width - len);
	text_add(out, s, len);
	if (!right && !last)
		add_spaces(out, width - len);
}

static void measure(const struct aggregate *aggregate, size_t widths[MAX_COLUMNS], struct text *cell)
{
	size_t n = count_columns(aggregate->schema);
	for (size_t k = 0; k < n; k++)
		widths[k] = strlen(title_of(aggregate->schema, k));
	for (size_t i = 0; i < aggregate->n; i++)
		for (size_t k = 0; k < n; k++) {
			text_reset(cell);
			cell_of(cell, aggregate->list[i], k);
			if (cell->len > widths[k])
				widths[k] = cell->len;
		}
}

static void add_table(struct text *out, const struct aggregate *aggregate, const struct palette *palette)
{
	const struct aggregate_schema *schema = aggregate->schema;
	size_t widths[MAX_COLUMNS], n = count_columns(schema);
	struct text cell = {0};
	measure(aggregate, widths, &cell);
	text_adds(out, palette->label);
	for (size_t k = 0; k < n; k++) {
		const char *title = title_of(schema, k);
		add_cell(out, title, strlen(title), widths[k], is_right(schema, k), k + 1 == n);
	}
	text_adds(out, palette->reset);
	text_addc(out, '\n');
	for (size_t i = 0; i < aggregate->n; i++) {
		for (size_t k = 0; k < n; k++) {
			text_reset(&cell);
			cell_of(&cell, aggregate->list[i], k);
			out->failed |= cell.failed;
			add_cell(out, text_str(&cell), cell.len, widths[k], is_right(schema, k), k + 1 == n);
		}
		text_addc(out, '\n');
	}
	text_fini(&cell);
}

/* --- histograms --- */

static void bounds_of(struct text *out, const struct aggregate *aggregate, int64_t bar)
{
	struct bar_bounds bounds = bar_bounds(aggregate->schema, bar);
	text_reset(out);
	text_adds(out, bounds.has_from ? "[" : "(");
	if (bounds.has_from)
		aggregate_value_text(out, aggregate, bounds.from);
	else
		text_adds(out, "…");
	text_adds(out, ", ");
	if (bounds.has_to)
		aggregate_value_text(out, aggregate, bounds.to);
	else
		text_adds(out, "…");
	text_addc(out, ')');
}

/* In columns of a terminal: an ellipsis is three bytes. */
static size_t width_of(const struct text *text)
{
	size_t width = 0;
	for (size_t i = 0; i < text->len; i++)
		width += ((unsigned char)text->data[i] & 0xc0) != 0x80;
	return width;
}

static void add_bar(struct text *out, const struct text *label, size_t width, uint64_t count, uint64_t most)
{
	size_t filled = (size_t)((__uint128_t)count * BAR_WIDTH / most);
	text_adds(out, "    ");
	text_addt(out, label);
	add_spaces(out, width - width_of(label));
	text_printf(out, " %10llu |", (unsigned long long)count);
	for (size_t i = 0; i < BAR_WIDTH; i++)
		text_addc(out, i < filled ? '@' : ' ');
	text_adds(out, "|\n");
}

/* All bars from the first to the last that is not empty. */
static void add_bars(struct text *out, const struct aggregate_row *row)
{
	const struct aggregate *aggregate = row->of;
	struct text label = {0};
	size_t width = 0, at = 0;
	uint64_t most = 1;
	if (!row->nbars)
		return;
	int64_t first = row->bars[0].bar, last = row->bars[row->nbars - 1].bar;
	for (size_t i = 0; i < row->nbars; i++)
		most = row->bars[i].count > most ? row->bars[i].count : most;
	for (int64_t bar = first; bar <= last; bar++) {
		bounds_of(&label, aggregate, bar);
		width = width_of(&label) > width ? width_of(&label) : width;
	}
	for (int64_t bar = first; bar <= last; bar++) {
		bool has = at < row->nbars && row->bars[at].bar == bar;
		bounds_of(&label, aggregate, bar);
		out->failed |= label.failed;
		add_bar(out, &label, width, has ? row->bars[at].count : 0, most);
		at += has;
	}
	text_fini(&label);
}

static void add_histogram(struct text *out, const struct aggregate_row *row, const struct palette *palette)
{
	const struct aggregate *aggregate = row->of;
	for (size_t i = 0; i < aggregate->schema->nkeys; i++) {
		struct value value = aggregate_row_key(row, i);
		text_adds(out, i ? " " : "  ");
		text_adds(out, palette->label);
		text_adds(out, aggregate->schema->fields[i].name);
		text_addc(out, '=');
		text_adds(out, palette->reset);
		value_text(out, &aggregate->columns[i], &value);
	}
	if (aggregate->schema->nkeys)
		text_addc(out, '\n');
	add_bars(out, row);
}

/* --- both --- */

static void add_uncounted(struct text *out, const struct aggregate *aggregate, const struct palette *palette)
{
	const struct rille_uncounted *uncounted = &aggregate->uncounted;
	if (uncounted->full)
		text_printf(out, "  %snot counted: %llu, the map was full (max = %u)%s\n", palette->warn,
		        (unsigned long long)uncounted->full, aggregate->schema->max, palette->reset);
	if (uncounted->missing)
		text_printf(out, "  %snot counted: %llu without a value%s\n", palette->warn,
		        (unsigned long long)uncounted->missing, palette->reset);
}

void aggregate_text(struct text *out, const struct aggregate *aggregate, const struct palette *palette)
{
	const struct aggregate_schema *schema = aggregate->schema;
	text_adds(out, palette->probe);
	text_add_clean(out, schema->on, strlen(schema->on));
	text_adds(out, palette->reset);
	text_addc(out, ' ');
	text_adds(out, aggregate_kind_name(schema->kind));
	if (schema->of) {
		text_adds(out, " of ");
		text_add_clean(out, schema->of, strlen(schema->of));
	}
	if (!aggregate->n)
		text_adds(out, ": nothing");
	text_addc(out, '\n');
	if (aggregate->n && !aggregate_has_bars(schema))
		add_table(out, aggregate, palette);
	for (size_t i = 0; i < aggregate->n && aggregate_has_bars(schema); i++)
		add_histogram(out, aggregate->list[i], palette);
	add_uncounted(out, aggregate, palette);
	text_addc(out, '\n');
}
