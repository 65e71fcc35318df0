/* The command behind `--` is the user's program, not root's: `sudo rille run socket -- make` must not leave files of
 * root in the user's folder. sudo says who that is in SUDO_UID and SUDO_GID; both are believed only where we are root
 * already, so that they can lower privileges but not raise them.
 *
 * Looking a user up may open sockets (name services). It is done before the child is forked, so that these are not
 * traced as the child's. */
#include "engine/cli/identity.h"
#include "engine/cli/cli.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A decimal id in the environment; -1 if there is none. */
static int read_id(const char *variable, unsigned *ret)
{
	const char *text = getenv(variable);
	char *end;
	if (!text || !*text || *text == '-' || *text == '+')
		return -1;
	errno = 0;
	unsigned long v = strtoul(text, &end, 10);
	if (*end || errno || v >= UINT_MAX)
		return -1;
	*ret = (unsigned)v;
	return 0;
}

static int find_groups(struct identity *identity, const char *name)
{
	int room = 64;
	for (;;) {
		free(identity->groups);
		identity->groups = calloc((size_t)room, sizeof(*identity->groups));
		if (!identity->groups)
			return -1;
		identity->ngroups = room;
		if (getgrouplist(name, identity->gid, identity->groups, &identity->ngroups) >= 0)
			return 0;
		if (identity->ngroups <= room || identity->ngroups > NGROUPS_MAX)
			return -1;
		room = identity->ngroups;
	}
}

/* Someone without an entry has the one group that sudo told, and keeps the environment. */
static int find_user(struct identity *identity)
{
	const struct passwd *user = getpwuid(identity->uid);
	if (!user) {
		identity->groups = calloc(1, sizeof(*identity->groups));
		if (!identity->groups)
			return -1;
		identity->groups[0] = identity->gid;
		identity->ngroups = 1;
		return 0;
	}
	identity->name = strdup(user->pw_name);
	identity->home = strdup(user->pw_dir);
	identity->shell = strdup(user->pw_shell);
	if (!identity->name || !identity->home || !identity->shell)
		return -1;
	return find_groups(identity, identity->name);
}

int identity_find(struct identity *identity)
{
	unsigned uid, gid;
	memset(identity, 0, sizeof(*identity));
	if (geteuid() != 0 || read_id("SUDO_UID", &uid) < 0 || uid == 0)
		return 0;
	if (read_id("SUDO_GID", &gid) < 0) {
		say("SUDO_UID is set, but SUDO_GID is not: cannot tell whom to run the command as");
		return -1;
	}
	identity->differs = true;
	identity->uid = uid;
	identity->gid = gid;
	if (find_user(identity) < 0) {
		say("cannot look up user %u: %s", uid, strerror(errno ? errno : ENOMEM));
		return -1;
	}
	return 0;
}

int identity_become(const struct identity *identity)
{
	if (!identity->differs)
		return 0;
	if (setgroups((size_t)identity->ngroups, identity->groups) < 0 ||
	        setresgid(identity->gid, identity->gid, identity->gid) < 0 ||
	        setresuid(identity->uid, identity->uid, identity->uid) < 0)
		return -1;
	if (!identity->name)
		return 0;
	if (setenv("HOME", identity->home, 1) < 0 || setenv("USER", identity->name, 1) < 0 ||
	        setenv("LOGNAME", identity->name, 1) < 0 || setenv("SHELL", identity->shell, 1) < 0)
		return -1;
	return 0;
}

void identity_fini(struct identity *identity)
{
	free(identity->groups);
	free(identity->name);
	free(identity->home);
	free(identity->shell);
	memset(identity, 0, sizeof(*identity));
}
