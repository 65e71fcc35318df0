/* Times of events as text.
 *
 * Converting a time to a date costs more than the rest of a short event. Events come in order, thousands a second, so
 * the conversion of the last second is kept. */
#include "engine/out/timestamp.h"

#include <string.h>
#include <time.h>

enum { SECOND = 1000000000 };

/* Floor division: times before 1970 come from broken clocks only, but must not index outside anything. */
static int64_t seconds_of(int64_t nsecs, uint32_t *ret_rest)
{
	int64_t seconds = nsecs / SECOND;
	int64_t rest = nsecs % SECOND;
	if (rest < 0) {
		rest += SECOND;
		seconds--;
	}
	*ret_rest = (uint32_t)rest;
	return seconds;
}

static void add_digits(struct text *out, uint32_t v, unsigned digits)
{
	char *at = text_reserve(out, digits);
	if (!at)
		return;
	for (unsigned i = digits; i--; v /= 10)
		at[i] = (char)('0' + v % 10);
	at[digits] = 0;
	out->len += digits;
}

static void convert(struct timestamp *stamp, int64_t second)
{
	if (stamp->valid && stamp->second == second)
		return;
	time_t t = (time_t)second;
	struct tm tm = {0};
	if (stamp->local)
		localtime_r(&t, &tm);
	else
		gmtime_r(&t, &tm);
	if (!strftime(stamp->date, sizeof(stamp->date), "%Y-%m-%d", &tm))
		strcpy(stamp->date, "?");
	if (!strftime(stamp->clock, sizeof(stamp->clock), "%H:%M:%S", &tm))
		strcpy(stamp->clock, "?");
	stamp->second = second;
	stamp->valid = true;
}

void timestamp_time(struct timestamp *stamp, struct text *out, int64_t wall_nsecs)
{
	uint32_t rest;
	convert(stamp, seconds_of(wall_nsecs, &rest));
	text_adds(out, stamp->clock);
	text_addc(out, '.');
	add_digits(out, rest / 1000, 6);
}

void timestamp_iso(struct timestamp *stamp, struct text *out, int64_t wall_nsecs)
{
	uint32_t rest;
	convert(stamp, seconds_of(wall_nsecs, &rest));
	text_adds(out, stamp->date);
	text_addc(out, 'T');
	text_adds(out, stamp->clock);
	text_addc(out, '.');
	add_digits(out, rest, 9);
	text_addc(out, 'Z');
}

void timestamp_epoch(struct text *out, int64_t wall_nsecs)
{
	uint32_t rest;
	text_addi(out, seconds_of(wall_nsecs, &rest));
	text_addc(out, '.');
	add_digits(out, rest, 9);
}

void timestamp_delta(struct text *out, int64_t nsecs)
{
	uint32_t rest;
	/* Records of different CPUs may come a little out of order. */
	text_addc(out, nsecs < 0 ? '-' : '+');
	text_addi(out, seconds_of(nsecs < 0 ? -nsecs : nsecs, &rest));
	text_addc(out, '.');
	add_digits(out, rest / 1000, 6);
}
