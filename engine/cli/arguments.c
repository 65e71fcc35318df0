/* Small readers of what stands on a command line: strict, since "5 s" or "10x" taken as 5 or 10 would be a wrong trace.
 */
#include "engine/cli/arguments.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static double unit_seconds(const char *unit)
{
	static const struct {
		const char *name;
		double seconds;
	} units[] = {{"", 1}, {"s", 1}, {"ms", 1e-3}, {"us", 1e-6}, {"ns", 1e-9}, {"m", 60}, {"min", 60}, {"h", 3600},
	        {"d", 86400}};
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
		if (strcmp(units[i].name, unit) == 0)
			return units[i].seconds;
	return -1;
}

int read_duration(const char *text, uint64_t *ret)
{
	size_t digits = strspn(text, "0123456789.");
	char *end;
	double value = strtod(text, &end);
	double unit = unit_seconds(text + digits);
	if (!digits || end != text + digits || unit < 0 || value * unit > 1e9 || value * unit <= 0)
		return -1;
	*ret = (uint64_t)(value * unit * 1e9);
	return 0;
}

int read_number(const char *text, uint64_t most, uint64_t *ret)
{
	char *end;
	if (!isdigit((unsigned char)text[0]))
		return -1;
	errno = 0;
	unsigned long long v = strtoull(text, &end, 10);
	if (*end || errno || v > most)
		return -1;
	*ret = v;
	return 0;
}

int read_user(const char *text, uid_t *ret)
{
	uint64_t number;
	const struct passwd *user = getpwnam(text);
	if (user) {
		*ret = user->pw_uid;
		return 0;
	}
	if (read_number(text, UINT_MAX - 1, &number) < 0)
		return -1;
	*ret = (uid_t)number;
	return 0;
}
