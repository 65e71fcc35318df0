/* The format of maps, stat and status is in proc(5). The path is the target's choice: a newline in it is written as
 * \012, which is undone here; all else is as it is. */
#include "engine/proc/maps.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void path_strip_deleted(char *path)
{
	static const char suffix[] = " (deleted)";
	size_t len = strlen(path), tail = sizeof(suffix) - 1;
	if (len > tail && path[0] == '/' && !strcmp(path + len - tail, suffix))
		path[len - tail] = 0;
}

static void unescape_newlines(char *path)
{
	char *to = strstr(path, "\\012");
	if (!to)
		return;
	for (const char *from = to; *from;) {
		if (!strncmp(from, "\\012", 4)) {
			*to++ = '\n';
			from += 4;
		} else {
			*to++ = *from++;
		}
	}
	*to = 0;
}

static bool parse_number(char **at, int base, char end, uint64_t *ret)
{
	char *past;
	errno = 0;
	*ret = strtoull(*at, &past, base);
	if (past == *at || errno || *past != end)
		return false;
	*at = past + 1;
	return true;
}

static bool parse_flags(char **at, uint32_t *ret)
{
	char *p = *at;
	if (strnlen(p, 5) < 5 || p[4] != ' ')
		return false;
	*ret = (p[0] == 'r' ? MAPPING_READ : 0) | (p[1] == 'w' ? MAPPING_WRITE : 0) | (p[2] == 'x' ? MAPPING_EXEC : 0);
	*at = p + 5;
	return true;
}

bool maps_parse_line(char *line, struct maps_line *ret)
{
	uint64_t major, minor;
	line[strcspn(line, "\n")] = 0;
	if (!parse_number(&line, 16, '-', &ret->start) || !parse_number(&line, 16, ' ', &ret->end) ||
	        !parse_flags(&line, &ret->flags) || !parse_number(&line, 16, ' ', &ret->offset) ||
	        !parse_number(&line, 16, ':', &major) || !parse_number(&line, 16, ' ', &minor))
		return false;
	char *past;
	ret->inode = strtoull(line, &past, 10);
	if (past == line || (*past && *past != ' ') || ret->start >= ret->end)
		return false;
	ret->dev_major = major;
	ret->dev_minor = minor;
	ret->path = past + strspn(past, " ");
	unescape_newlines(ret->path);
	path_strip_deleted(ret->path);
	if (!ret->inode)
		ret->flags |= MAPPING_ANON;
	return true;
}

static int add_line(const struct maps_line *line, struct files *files, struct mappings *mappings)
{
	struct file_identity identity = {
	        .path = line->path,
	        .dev_major = line->dev_major,
	        .dev_minor = line->dev_minor,
	        .inode = line->inode,
	};
	struct mapping mapping = {.start = line->start, .end = line->end, .offset = line->offset, .flags = line->flags};
	mapping.file = files_get(files, &identity);
	return mapping.file ? mappings_add(mappings, &mapping) : -ENOMEM;
}

int maps_scan(pid_t pid, struct files *files, struct mappings *mappings)
{
	char name[64];
	snprintf(name, sizeof(name), "/proc/%d/maps", (int)pid);
	FILE *file = fopen(name, "re");
	if (!file)
		return -ESRCH;
	char *text = NULL;
	size_t cap = 0, lines = 0;
	int r = 0;
	while (!r && getline(&text, &cap, file) > 0) {
		struct maps_line line;
		lines++;
		if (maps_parse_line(text, &line) && line.flags & MAPPING_EXEC)
			r = add_line(&line, files, mappings);
	}
	free(text);
	fclose(file);
	return r ? r : lines ? 0 : -ESRCH;
}

uint64_t proc_start_ticks(pid_t pid)
{
	char name[64], text[1024];
	snprintf(name, sizeof(name), "/proc/%d/stat", (int)pid);
	FILE *file = fopen(name, "re");
	if (!file)
		return 0;
	size_t len = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[len] = 0;
	/* The command's name is field 2, in parentheses, and may hold anything. */
	char *at = strrchr(text, ')');
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	return at ? strtoull(at + 1, NULL, 10) : 0;
}

pid_t proc_innermost_pid(pid_t pid)
{
	char name[64], *line = NULL;
	snprintf(name, sizeof(name), "/proc/%d/status", (int)pid);
	FILE *file = fopen(name, "re");
	if (!file)
		return pid;
	size_t cap = 0;
	long innermost = 0;
	while (!innermost && getline(&line, &cap, file) > 0) {
		if (strncmp(line, "NSpid:", 6))
			continue;
		char *last = strrchr(line, '\t');
		innermost = last ? strtol(last, NULL, 10) : 0;
	}
	free(line);
	fclose(file);
	return innermost > 0 ? innermost : pid;
}
