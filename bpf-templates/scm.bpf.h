/* The descriptors that a received message brought (SCM_RIGHTS, SCM_PIDFD), found in its control data after the call.
 *
 * The layout is the ABI's: struct user_msghdr, or a struct mmsghdr each of several, points to headers of length, level and
 * type, each followed by its data and rounded up to 8 bytes. All of it is the process's memory, so another thread can have
 * written anything there: a walk takes a bounded number of steps, a header or a descriptor each, and a length that makes
 * no sense ends the message. More than SCM_ROOM descriptors, or than there are steps for, are counted, not stored. */
enum { SCM_ROOM = 32, MMSGHDR_SIZE = 64 };

struct scm_walk {
	u64 message, messages; /* the next one, and how many there are from there */
	u64 at, end;           /* control data that is left */
	u64 fd, fd_end;        /* descriptors that are left of the header at hand */
	s32 *to;               /* NULL: only counts */
	u32 count, got;        /* descriptors that there are, and those that were seen so far */
};

INLINE bool scm_message(struct scm_walk *walk)
{
	u64 control[2] = {0}; /* msg_control, msg_controllen */
	if (!walk->messages)
		return false;
	bpf_probe_read_user(control, sizeof(control), (const void *)(walk->message + 32));
	walk->at = control[0];
	walk->end = control[1] <= 1 << 20 ? control[0] + control[1] : control[0];
	walk->message += MMSGHDR_SIZE;
	walk->messages--;
	return true;
}

INLINE void scm_header(struct scm_walk *walk)
{
	enum { SOL_SOCKET = 1, SCM_RIGHTS = 1, SCM_PIDFD = 4 };
	struct {
		u64 len;
		s32 level, type;
	} head = {0};
	u64 at = walk->at;
	if (bpf_probe_read_user(&head, sizeof(head), (const void *)at) || head.len < sizeof(head) ||
	        head.len > walk->end - at) {
		walk->at = walk->end;
		return;
	}
	if (head.level == SOL_SOCKET && (head.type == SCM_RIGHTS || head.type == SCM_PIDFD)) {
		walk->fd = at + sizeof(head);
		walk->fd_end = at + head.len;
		walk->count += (u32)(head.len - sizeof(head)) / 4;
	}
	walk->at = at + ((head.len + 7) & ~7ull);
}

/* One step; false at the end. */
INLINE bool scm_step(struct scm_walk *walk)
{
	if (walk->fd + 4 <= walk->fd_end) {
		u32 at = walk->got++;
		HIDE(at);
		if (walk->to && at < SCM_ROOM)
			bpf_probe_read_user(walk->to + (at & (SCM_ROOM - 1)), 4, (const void *)walk->fd);
		walk->fd += 4;
		return true;
	}
	if (walk->at + 16 > walk->end)
		return scm_message(walk);
	scm_header(walk);
	return true;
}
