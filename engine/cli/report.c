/* The report: for each probe how often it fired, what passed, what came through, and everything that did not.
 *
 *     rille: syscall:socket: seen 1000000 passed 12 sent 10, lost 2 (ring buffer full 2)
 *
 * A glob can attach hundreds of probes; those that never fired are summed up in one line. */
#include "engine/cli/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void say_phases(const rille *r)
{
	struct rille_phase phases[32];
	size_t n = rille_phases(r, phases, sizeof(phases) / sizeof(*phases));
	const char *mechanisms = rille_mechanisms(r);
	double total = 0;
	char line[1024] = "";
	if (n > sizeof(phases) / sizeof(*phases))
		n = sizeof(phases) / sizeof(*phases);
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(line);
		total += (double)phases[i].nsecs / 1e6;
		snprintf(line + len, sizeof(line) - len, "%s%s %.1f", i ? ", " : "", phases[i].name,
		        (double)phases[i].nsecs / 1e6);
	}
	say("%s (ms; %.1f together)", line, total);
	while (mechanisms && *mechanisms) {
		int len = (int)strcspn(mechanisms, "\n");
		say("%.*s", len, mechanisms);
		mechanisms += len + (mechanisms[len] == '\n');
	}
}

static void add(FILE *out, const char **sep, const char *what, uint64_t n)
{
	if (!n)
		return;
	fprintf(out, "%s%s %" PRIu64, *sep, what, n);
	*sep = ", ";
}

static uint64_t lost_of(const struct rille_totals *stats)
{
	return stats->lost_ring + stats->lost_entry + stats->lost_compat;
}

static bool is_noteworthy(const struct rille_totals *stats)
{
	return lost_of(stats) || stats->lost_full || stats->unresolved || stats->callback_errors;
}

static void say_probe(const struct rille_totals *stats)
{
	char *line = NULL;
	size_t len;
	FILE *out = open_memstream(&line, &len);
	if (!out)
		return;
	fprintf(out, "%s: seen %" PRIu64 " passed %" PRIu64 " sent %" PRIu64, stats->probe, stats->seen, stats->passed,
	        stats->sent);
	if (stats->target != stats->seen)
		fprintf(out, ", in target %" PRIu64, stats->target);
	if (lost_of(stats)) {
		const char *sep = " (";
		fprintf(out, ", lost %" PRIu64, lost_of(stats));
		add(out, &sep, "ring buffer full", stats->lost_ring);
		add(out, &sep, "entry not kept", stats->lost_entry);
		add(out, &sep, "32-bit calls", stats->lost_compat);
		fputc(')', out);
	}
	const char *sep = ", ";
	add(out, &sep, "over the limit", stats->lost_limit);
	add(out, &sep, "not counted (map full)", stats->lost_full);
	add(out, &sep, "incomplete stacks", stats->unresolved);
	if (stats->unresolved)
		fprintf(out, " (%s)", stats->unresolved_why);
	add(out, &sep, "errors in callbacks", stats->callback_errors);
	if (fclose(out) == 0)
		say("%s", line);
	free(line);
}

void say_totals(const rille *r, const struct talk *talk)
{
	size_t n = rille_probe_count(r), silent = 0;
	uint64_t overrun = 0;
	for (size_t i = 0; i < n; i++) {
		struct rille_totals stats = {.size = sizeof(stats)};
		if (rille_probe_stats(r, i, &stats) < 0)
			continue;
		overrun += stats.lost_ring;
		if (talk->quiet && !is_noteworthy(&stats))
			continue;
		if (n > 8 && !stats.seen && !talk->verbose)
			silent++;
		else
			say_probe(&stats);
	}
	if (silent)
		say("%zu probes did not fire", silent);
	if (overrun)
		say("hint: a larger ring buffer (--ring 64M), a narrower --filter or no stacks lose fewer events");
}
