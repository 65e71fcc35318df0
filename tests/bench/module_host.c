/* What a callback of rille.h costs: reads each event's fields and adds them up.
 *
 *     module_host FAMILY PID    says `ready`, ends with the process: `events=N cpu_ns=N` */
#include <rille.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { FAMILY, TYPE, PROTOCOL, RET, FIELDS };

static unsigned long long events, sum;

static int on_event(void *user, const rille_event *event)
{
	struct rille_head head = {.size = sizeof(head)};
	int64_t values[FIELDS];
	(void)user;
	if (rille_event_head(event, &head))
		return -1;
	for (int i = 0; i < FIELDS; i++)
		if (rille_event_i64(event, i, &values[i]))
			return -1;
	sum += head.pid + values[FAMILY] + values[TYPE] + values[PROTOCOL] + values[RET];
	events++;
	return 0;
}

static unsigned long long cpu_ns(void)
{
	struct timespec time;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
	return time.tv_sec * 1000000000ull + time.tv_nsec;
}

int main(int argc, char **argv)
{
	static const struct rille_field fields[FIELDS] = {{"family"}, {"type"}, {"protocol"}, {"ret"}};
	char where[64];
	if (argc != 3)
		return 2;
	snprintf(where, sizeof(where), "family == %d", atoi(argv[1]));
	const struct rille_probe probe = {
	        .size = sizeof(probe), .on = "syscall:socket", .where = where, .fields = fields, .nfields = FIELDS};
	rille *r = rille_new(NULL);
	if (!r || rille_add_probe(r, &probe) < 0 || rille_target_pid(r, atoi(argv[2])) ||
	        rille_on_event(r, on_event, NULL) || rille_attach(r)) {
		fputs(rille_last_error(r)->formatted, stderr);
		return 1;
	}
	puts("ready");
	fflush(stdout);
	unsigned long long began = cpu_ns();
	while (rille_dispatch(r, -1, 0) >= 0)
		;
	rille_stop(r, NULL);
	printf("events=%llu cpu_ns=%llu sum=%llu\n", events, cpu_ns() - began, sum);
	rille_free(r);
	return 0;
}
