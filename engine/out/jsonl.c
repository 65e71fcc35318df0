/* JSON lines: one record a line, described by docs/schema/event.schema.json.
 *
 * An event is flat: its own members, then the script's fields, then the stacks. A field with the name of one of the
 * event's own members gets an underscore behind it (`type` → `type_`), so that no name stands twice. Everything that
 * came from a traced process goes through text_add_json(). */
#include "engine/out/aggregate.h"
#include "engine/out/format.h"
#include "engine/out/jsonl_names.h"
#include "engine/out/origin_text.h"
#include "engine/out/value.h"

#include <string.h>

/* `key` comes with its punctuation: ,"name": */
static void add_member(struct text *out, const char *key, const char *s)
{
	text_adds(out, key);
	text_add_json_string(out, s);
}

static void add_number(struct text *out, const char *key, uint64_t v)
{
	text_adds(out, key);
	text_addu(out, v);
}

static void add_time(struct sink *sink, struct text *out, const char *key, int64_t wall_nsecs)
{
	text_adds(out, key);
	text_addc(out, '"');
	timestamp_iso(&sink->stamp, out, wall_nsecs);
	text_addc(out, '"');
}

static void add_key(struct text *out, const char *name)
{
	text_adds(out, ",\"");
	text_add_json(out, name, strlen(name));
	if (jsonl_is_reserved(name))
		text_addc(out, '_');
	text_adds(out, "\":");
}

static void jsonl_label(struct text *out, const char *name, void *sink)
{
	add_key(out, name);
}

static void add_frame(struct text *out, const struct frame *frame)
{
	add_member(out, "{\"kind\":", frame_kind_name(frame->kind));
	add_member(out, ",\"name\":", frame->name);
	if (frame->module)
		add_member(out, ",\"module\":", frame->module);
	if (frame->name || frame->module)
		add_number(out, ",\"offset\":", frame->offset);
	if (frame->signature)
		add_member(out, ",\"signature\":", frame->signature);
	if (frame->file)
		add_member(out, ",\"file\":", frame->file);
	if (frame->line > 0)
		add_number(out, ",\"line\":", (uint64_t)frame->line);
	if (frame->build_id)
		add_member(out, ",\"build_id\":", frame->build_id);
	if (frame_tier_name(frame->tier))
		add_member(out, ",\"tier\":", frame_tier_name(frame->tier));
	if (frame->inlined)
		text_adds(out, ",\"inlined\":true");
	if (frame_how_name(frame->how))
		add_member(out, ",\"how\":", frame_how_name(frame->how));
	text_addc(out, '}');
}

static void add_address(struct text *out, uint64_t ip)
{
	out->len--; /* the brace */
	text_adds(out, ",\"address\":\"0x");
	text_addx(out, ip);
	text_adds(out, "\"}");
}

/* An unnamed frame has its address in any case: it is all there is to say. */
static bool wants_address(const struct sink *sink, const struct frame *frame)
{
	return sink->options.addresses || (!frame->name && !frame->module);
}

void jsonl_add_stack(struct sink *sink, const char *name, const struct stack *stack)
{
	struct text *out = &sink->out.buffer;
	text_adds(out, ",\"");
	text_adds(out, name);
	text_adds(out, "\":[");
	for (size_t i = 0; i < stack->nframes; i++) {
		if (i)
			text_addc(out, ',');
		add_frame(out, &stack->frames[i]);
		if (wants_address(sink, &stack->frames[i]) && !text_failed(out))
			add_address(out, stack->frames[i].ip);
	}
	text_adds(out, "],\"");
	text_adds(out, name);
	add_member(out, "_end\":", stack_end_name(stack->end));
}

static void jsonl_event(struct sink *sink, struct event *event)
{
	struct text *out = &sink->out.buffer;
	const struct rille_record *record = event->record;
	struct columns columns = columns_of(&sink->columns, event);

	add_member(out, "{\"type\":\"event\",\"probe\":", event->probe->name);
	add_time(sink, out, ",\"time\":", event->wall_nsecs);
	add_number(out, ",\"nsecs\":", record->nsecs);
	add_number(out, ",\"pid\":", record->pid);
	add_number(out, ",\"tid\":", record->tid);
	add_number(out, ",\"ppid\":", record->ppid);
	text_adds(out, ",\"comm\":\"");
	text_add_json(out, record->comm, strnlen(record->comm, sizeof(record->comm)));
	text_addc(out, '"');
	if (sink->columns.container)
		add_member(out, ",\"container\":", event_container(event));
	for (size_t i = 0; i < columns.n; i++) {
		struct value value = event_value(event, columns.list[i].field);
		text_add(out, columns.list[i].label.data, columns.list[i].label.len);
		value_json(out, &columns.list[i], &value);
	}
	const struct stack *kstack = event_kstack(event);
	if (kstack)
		jsonl_add_stack(sink, "kstack", kstack);
	const struct stack *ustack = event_ustack(event);
	if (ustack)
		jsonl_add_stack(sink, "ustack", ustack);
	if (ustack)
		origin_json(out, ",\"about\":", sink->origins, ustack, NULL);
	text_adds(out, "}\n");
}

/* What the events have: with --fields, not all that the probe sends. */
static void add_probe_meta(struct text *out, const struct probe_schema *probe, const struct columns *columns)
{
	add_member(out, "{\"name\":", probe->name);
	text_adds(out, ",\"fields\":[");
	for (size_t i = 0; i < columns->n; i++) {
		const struct field_schema *field = columns->list[i].schema;
		text_adds(out, i ? ",{\"name\":\"" : "{\"name\":\"");
		text_adds(out, field->name);
		text_adds(out, jsonl_is_reserved(field->name) ? "_\"" : "\"");
		add_member(out, ",\"kind\":", value_kind_name(field->kind));
		if (field->kind <= VALUE_UINT)
			text_printf(out, ",\"bits\":%u", field->width * 8);
		if (field->count)
			text_printf(out, ",\"count\":%u", field->count);
		if (format_name(field->format, field->prefix))
			add_member(out, ",\"as\":", format_name(field->format, field->prefix));
		text_addc(out, '}');
	}
	text_printf(out, "],\"ustack\":%s,\"kstack\":%s}", probe->stack_sides & STACK_USER ? "true" : "false",
	        probe->stack_sides & STACK_KERNEL ? "true" : "false");
}

static void add_lines(struct text *out, const char *lines)
{
	const char *sep = "";
	while (lines && *lines) {
		size_t len = strcspn(lines, "\n");
		text_adds(out, sep);
		text_addc(out, '"');
		text_add_json(out, lines, len);
		text_addc(out, '"');
		lines += len + (lines[len] == '\n');
		sep = ",";
	}
}

static void jsonl_open(struct sink *sink, const struct sink_meta *meta)
{
	struct text *out = &sink->out.buffer;
	text_adds(out, "{\"type\":\"meta\",\"schema\":1");
	add_member(out, ",\"version\":", meta->version);
	add_time(sink, out, ",\"time\":", meta->started);
	add_member(out, ",\"script\":", meta->script);
	add_member(out, ",\"host\":", meta->host);
	add_member(out, ",\"kernel\":", meta->kernel);
	text_adds(out, ",\"argv\":[");
	for (size_t i = 0; meta->argv && i < meta->argc; i++) {
		text_adds(out, i ? "," : "");
		text_add_json_string(out, meta->argv[i]);
	}
	text_adds(out, "],\"probes\":[");
	for (size_t i = 0; i < meta->nprobes; i++) {
		text_adds(out, i ? "," : "");
		add_probe_meta(out, &meta->probes[i], &sink->columns.probes[i]);
	}
	if (meta->naggregates) {
		text_adds(out, "],\"aggregates\":[");
		for (size_t i = 0; i < meta->naggregates; i++) {
			text_adds(out, i ? "," : "");
			aggregate_meta_json(out, &meta->aggregates[i]);
		}
	}
	text_adds(out, "],\"mechanisms\":[");
	add_lines(out, meta->mechanisms);
	text_adds(out, "]}\n");
}

static void jsonl_row(struct sink *sink, const struct cell *cells, size_t n)
{
	struct text *out = &sink->out.buffer;
	text_adds(out, "{\"type\":\"row\"");
	for (size_t i = 0; i < n; i++) {
		add_key(out, cells[i].name);
		cell_json(out, &cells[i]);
	}
	text_adds(out, "}\n");
}

static void jsonl_print(struct sink *sink, const char *s, size_t len)
{
	struct text *out = &sink->out.buffer;
	text_adds(out, "{\"type\":\"print\",\"text\":\"");
	text_add_json(out, s, len && s[len - 1] == '\n' ? len - 1 : len);
	text_adds(out, "\"}\n");
}

static void jsonl_aggregate(struct sink *sink, const struct aggregate *aggregate)
{
	aggregate_json(&sink->out.buffer, aggregate, &sink->stamp);
}

static void add_causes(struct text *out, const struct rille_stats *stats)
{
	add_number(out, ",\"lost_ring\":", stats->lost_ring);
	add_number(out, ",\"lost_entry\":", stats->lost_entry);
	add_number(out, ",\"lost_compat\":", stats->lost_compat);
	add_number(out, ",\"lost_limit\":", stats->lost_limit);
	add_number(out, ",\"lost_full\":", stats->lost_full);
}

/* `lost` is since the last such record; the causes are totals, as at the end. */
static void jsonl_lost(struct sink *sink, const struct probe_totals *probe, uint64_t lost)
{
	struct text *out = &sink->out.buffer;
	add_member(out, "{\"type\":\"lost\",\"probe\":", probe->probe->name);
	add_number(out, ",\"lost\":", lost);
	add_causes(out, &probe->stats);
	text_adds(out, "}\n");
}

static void add_probe_totals(struct text *out, const struct probe_totals *totals)
{
	add_member(out, "{\"probe\":", totals->probe->name);
	add_number(out, ",\"seen\":", totals->stats.seen);
	add_number(out, ",\"target\":", totals->stats.target);
	add_number(out, ",\"passed\":", totals->stats.passed);
	add_number(out, ",\"sent\":", totals->stats.sent);
	add_causes(out, &totals->stats);
	add_number(out, ",\"callback_errors\":", totals->callback_errors);
	add_number(out, ",\"unresolved\":", totals->unresolved);
	text_adds(out, ",\"unresolved_why\":{");
	const char *sep = "\"";
	for (size_t end = 0; end < STACK_ENDS; end++) {
		if (!totals->ends[end])
			continue;
		text_adds(out, sep);
		text_adds(out, stack_end_name((enum stack_end)end));
		add_number(out, "\":", totals->ends[end]);
		sep = ",\"";
	}
	text_adds(out, "}}");
}

static void jsonl_end(struct sink *sink, const struct sink_end *end)
{
	struct text *out = &sink->out.buffer;
	struct cell seconds = {.kind = CELL_NUMBER, .n = end->seconds};
	add_member(out, "{\"type\":\"end\",\"reason\":", end->reason ? end->reason : "done");
	text_adds(out, ",\"seconds\":");
	cell_json(out, &seconds);
	add_number(out, ",\"mappings_lost\":", end->mappings_lost);
	text_adds(out, ",\"probes\":[");
	for (size_t i = 0; i < end->nprobes; i++) {
		text_adds(out, i ? "," : "");
		add_probe_totals(out, &end->probes[i]);
	}
	text_adds(out, "]}\n");
}

const struct sink_format jsonl_format = {
        .name = "jsonl",
        .label = jsonl_label,
        .open = jsonl_open,
        .event = jsonl_event,
        .row = jsonl_row,
        .print = jsonl_print,
        .aggregate = jsonl_aggregate,
        .lost = jsonl_lost,
        .end = jsonl_end,
};
