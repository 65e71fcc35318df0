/* Waiting and rounds.
 *
 * Everything that can happen is one epoll descriptor, which a host can put into a loop of its own: the ring, the
 * process table's perf events, an eventfd for session_wake(), the ends of the target processes, and a timer for what is
 * due by the clock: coming back to a busy ring, `every`, and the once-a-second look at losses. One call of
 * session_dispatch() waits at most once and makes one round over all of them.
 *
 * The process table is advanced to the time of the record at hand. What it knows beyond the last record is applied once
 * the ring has been emptied, up to the moment when emptying it began: a record that came later may be about an older
 * state. */
#include "engine/core/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

static const uint64_t DRAIN_NS = 10000000000; /* at the end */

enum {
	LOOK_NS = 1000000000,   /* between two looks at losses */
	ROUND_NS = 50000000,    /* a producer that never rests must not keep us from ticks and losses */
	SAFETY_NS = 1000000000, /* longest sleep on the ring alone */
};

static int watch(struct session *session, int fd, uint32_t how, struct err *err)
{
	struct epoll_event event = {.events = EPOLLIN | how, .data.fd = fd};
	if (epoll_ctl(session->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		return err_set(
		        err, -errno, ERR_RUNTIME, "epoll", "cannot wait for descriptor %d: %s", fd, strerror(errno));
	return 0;
}

int loop_watch(struct session *session, int fd, struct err *err)
{
	return watch(session, fd, 0, err);
}

int loop_open(struct session *session, struct err *err)
{
	session->epoll = epoll_create1(EPOLL_CLOEXEC);
	session->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	session->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (session->epoll < 0 || session->wake < 0 || session->timer < 0)
		return err_set(err, -errno, ERR_RUNTIME, "descriptors", "cannot make the event loop's descriptors: %s",
		        strerror(errno));
	int r = loop_watch(session, session->wake, err);
	if (r == 0)
		r = loop_watch(session, session->timer, err);
	if (r == 0)
		/* On the edge: the level says that records are there, which is no reason to hurry; the edge that the
		 * kernel rang. */
		r = watch(session, kernel_fd(session->kernel), EPOLLET, err);
	if (r == 0 && session->procs && proc_table_fd(session->procs) >= 0)
		r = loop_watch(session, proc_table_fd(session->procs), err);
	for (size_t i = 0; r == 0 && i < session->ntargets; i++)
		if (session->targets[i].pidfd >= 0)
			r = loop_watch(session, session->targets[i].pidfd, err);
	return r;
}

void loop_close(struct session *session)
{
	int *fds[] = {&session->epoll, &session->wake, &session->timer};
	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

static void set_wall_offset(struct session *session)
{
	session->wall_offset = (int64_t)now_ns(CLOCK_REALTIME) - (int64_t)now_ns(CLOCK_MONOTONIC);
}

/* The timer rings when the next thing is due; the longest pause is a second, should a wake-up ever be missed. */
static void set_timer(struct session *session, uint64_t now, int delay)
{
	uint64_t due = now + (delay >= 0 ? (uint64_t)delay * 1000000u : SAFETY_NS);
	if (session->next_tick && session->next_tick < due)
		due = session->next_tick;
	struct itimerspec spec = {.it_value = {(time_t)(due / 1000000000u), (long)(due % 1000000000u)}};
	timerfd_settime(session->timer, TFD_TIMER_ABSTIME, &spec, NULL);
}

void loop_start(struct session *session)
{
	uint64_t now = now_ns(CLOCK_MONOTONIC);
	set_wall_offset(session);
	session->started = now;
	session->started_wall = (int64_t)now + session->wall_offset;
	session->next_look = now + LOOK_NS;
	session->next_tick =
	        session->callbacks.on_tick && session->callbacks.tick_ns ? now + session->callbacks.tick_ns : 0;
	if (kernel_arm(session->kernel))
		session_wake(session);
	set_timer(session, now, -1);
}

static int fail_with(struct session *session, struct err *err)
{
	int code = session->failure;
	if (err)
		*err = session->failure_err;
	session->failure = 0;
	return code;
}

static int tick(struct session *session, uint64_t now, struct err *err)
{
	if (!session->next_tick || now < session->next_tick)
		return 0;
	/* A tick that was missed is not made up for. */
	while (session->next_tick <= now)
		session->next_tick += session->callbacks.tick_ns;
	return session->callbacks.on_tick(session->callbacks.user, err);
}

/* A target is over when its process has ended, and, if its children are followed, when none of them is left. */
static void check_targets(struct session *session)
{
	bool left = session->ntargets == 0;
	for (size_t i = 0; i < session->ntargets; i++)
		left |= session->targets[i].pidfd >= 0;
	if (left || (session->gen_options.follow && kernel_has_targets(session->kernel)) || session->over_reason)
		return;
	session_end(session, "target exited");
	session->cut = false; /* what they did before is still to be told */
}

static void target_ended(struct session *session, int fd)
{
	for (size_t i = 0; i < session->ntargets; i++) {
		if (session->targets[i].pidfd != fd)
			continue;
		epoll_ctl(session->epoll, EPOLL_CTL_DEL, fd, NULL);
		close(fd);
		session->targets[i].pidfd = -1;
	}
}

/* What woke us; the ring and the process table are looked at in every round anyway. */
static int wait_for(struct session *session, int timeout_ms)
{
	struct epoll_event events[16];
	int n = epoll_wait(session->epoll, events, 16, timeout_ms);
	for (int i = 0; i < n; i++) {
		uint64_t count;
		int fd = events[i].data.fd;
		if (fd == session->wake || fd == session->timer)
			(void)!read(fd, &count, sizeof(count));
		else
			target_ended(session, fd);
	}
	return n < 0 && errno != EINTR ? -errno : 0;
}

static int consume(struct session *session, int max_events, uint64_t budget_ns)
{
	uint64_t began = now_ns(CLOCK_MONOTONIC);
	set_wall_offset(session);
	int n = kernel_consume(session->kernel, event_handle, session, (uint32_t)max_events, budget_ns);
	if (n >= 0 && session->procs && kernel_emptied(session->kernel))
		proc_table_advance(session->procs, began);
	return n;
}

/* What is due by the clock after the ring has been looked at. */
static int housekeeping(struct session *session, bool cut_short, struct err *err)
{
	uint64_t now = now_ns(CLOCK_MONOTONIC);
	int r = tick(session, now, err);
	if (r == 0 && now >= session->next_look) {
		session->next_look = now + LOOK_NS;
		r = session_report_losses(session, err);
		if (session->procs)
			proc_table_reap(session->procs, now);
	}
	check_targets(session);
	if (r == 0)
		r = event_flush(session);
	int delay = cut_short ? 0 : kernel_delay_ms(session->kernel);
	/* That the trace is over is something to do, too: the host learns it from its next dispatch. */
	if (delay == 0 || session->over_reason || (delay < 0 && kernel_arm(session->kernel)))
		session_wake(session);
	set_timer(session, now, delay);
	return r;
}

static int make_round(struct session *session, int max_events, struct err *err)
{
	int n = consume(session, max_events, ROUND_NS);
	if (n < 0 && !session->failure)
		return err_set(err, n, ERR_RUNTIME, "ring-read", "cannot read the ring buffer: %s", strerror(-n));
	int r = session->failure ? 0 : housekeeping(session, max_events && n == max_events, err);
	if (session->failure)
		return fail_with(session, err);
	return r < 0 ? r : n;
}

int session_dispatch(struct session *session, int timeout_ms, int max_events, struct err *err)
{
	if (session->state == SESSION_OVER || (session->state == SESSION_RUNNING && session->over_reason)) {
		session->state = SESSION_OVER;
		return -ESHUTDOWN;
	}
	if (session->state != SESSION_RUNNING)
		return err_set(err, -EINVAL, ERR_RUNTIME, "wrong-state", "this session is not attached");
	int r = wait_for(session, timeout_ms);
	if (r < 0)
		return err_set(err, r, ERR_RUNTIME, "epoll", "cannot wait: %s", strerror(-r));
	return make_round(session, max_events < 0 ? 0 : max_events, err);
}

static uint64_t count_sent(struct session *session)
{
	uint64_t sent = 0;
	for (size_t i = 0; i < session->plan.nprobes; i++) {
		struct probe_totals totals = {0};
		session_probe_totals(session, i, &totals);
		sent += totals.stats.sent;
	}
	return sent;
}

static int handle_sent(struct session *session, uint64_t sent, struct err *err)
{
	uint64_t end = now_ns(CLOCK_MONOTONIC) + DRAIN_NS, handled;
	int n = 0;
	while ((handled = session->events + kernel_corrupt(session->kernel)) < sent && !session->cut && n >= 0) {
		if (now_ns(CLOCK_MONOTONIC) > end) {
			log_warn(&session->log, "%llu events were not handled in time",
			        (unsigned long long)(sent - handled));
			break;
		}
		n = consume(session, sent - handled < INT32_MAX ? (int)(sent - handled) : INT32_MAX, DRAIN_NS);
		if (n == 0) /* its writer is still busy with it */
			usleep(100);
	}
	if (session->failure)
		return fail_with(session, err);
	return n < 0 ? err_set(err, n, ERR_RUNTIME, "ring-read", "cannot read the ring buffer: %s", strerror(-n)) : 0;
}

int loop_catch_up(struct session *session, struct err *err)
{
	int r = handle_sent(session, count_sent(session), err);
	session_wake(session); /* what was armed may have been consumed here */
	return r;
}

/* What counts is what had been sent when the trace ended: while the rest of it is handled the probes are still attached,
 * and a producer that never rests would keep us here for ever. */
int loop_drain(struct session *session, struct err *err)
{
	uint64_t sent = count_sent(session);
	int counted = counts_freeze(session, err);
	session->frozen = true;
	int r = handle_sent(session, sent, counted < 0 ? NULL : err);
	r = counted < 0 ? counted : r;
	if (session->procs)
		proc_table_advance(session->procs, UINT64_MAX);
	return r;
}
