/* What LLVM refers to and a static, unprivileged program must not do: load plug-ins, ask the name service about users.
 * libc's own versions would look for shared libraries at run time, which the linker rightly warns about. The linker
 * (--wrap, see meson.build) puts these in their place, which find nothing. */
#include <errno.h>
#include <pwd.h>
#include <stddef.h>

void *__wrap_dlopen(const char *path, int flags);
int __wrap_getpwnam_r(const char *name, struct passwd *entry, char *room, size_t size, struct passwd **ret);
int __wrap_getpwuid_r(uid_t uid, struct passwd *entry, char *room, size_t size, struct passwd **ret);
struct passwd *__wrap_getpwnam(const char *name);
struct passwd *__wrap_getpwuid(uid_t uid);

void *__wrap_dlopen(const char *path, int flags)
{
	(void)path;
	(void)flags;
	return NULL;
}

int __wrap_getpwnam_r(const char *name, struct passwd *entry, char *room, size_t size, struct passwd **ret)
{
	(void)name;
	(void)entry;
	(void)room;
	(void)size;
	*ret = NULL;
	return ENOENT;
}

int __wrap_getpwuid_r(uid_t uid, struct passwd *entry, char *room, size_t size, struct passwd **ret)
{
	(void)uid;
	(void)entry;
	(void)room;
	(void)size;
	*ret = NULL;
	return ENOENT;
}

struct passwd *__wrap_getpwnam(const char *name)
{
	(void)name;
	return NULL;
}

struct passwd *__wrap_getpwuid(uid_t uid)
{
	(void)uid;
	return NULL;
}
