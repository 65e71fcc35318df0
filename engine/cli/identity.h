/* Who started us, when sudo stands between. */
#ifndef RILLE_CLI_IDENTITY_H
#define RILLE_CLI_IDENTITY_H

#include <stdbool.h>
#include <sys/types.h>

struct identity {
	bool differs; /* we are root on behalf of someone else */
	uid_t uid;
	gid_t gid;
	gid_t *groups;
	int ngroups;
	char *name, *home, *shell;
};

/* Reads SUDO_UID and SUDO_GID (only as root) and looks the user up. -1 after saying why. */
int identity_find(struct identity *identity);
/* Becomes that user for good, with its groups and no capabilities, and sets HOME, USER, LOGNAME and SHELL. For the
 * child, after fork. 0 or -1 with errno. */
int identity_become(const struct identity *identity);
void identity_fini(struct identity *identity);

#endif
