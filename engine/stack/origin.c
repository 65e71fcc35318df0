/* What a stack is about.
 *
 * Most descriptors that puzzle people are made by a library on somebody's behalf, and the frames next to the call say by
 * which: `__nscd_get_mapping` is glibc asking who the user is, `sun.nio.fs.LinuxWatchService.<init>` is a WatchService. What
 * is known of them is a table in Lua (lua/origins.lua), which scripts extend; here it is matched, since the outputs are
 * in C and a script's table of frames can be handed over as a stack.
 *
 * A rule has alternatives; an alternative is a list of patterns that have to be found in this order from the call outwards.
 * The rule whose first pattern is nearest to the call wins: it names who made the call, and what stands further out had
 * it made. Rules that fit very much (a file that Java opened) are `general`: they stand back if another one matches.
 *
 * Names come from the target and may be as long as it likes; a glob has one place to go back to, so matching cannot take
 * more than the product of both lengths, and the first 512 bytes of a name decide. */
#include "engine/stack/origin.h"
#include "engine/base/grow.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_NAME = 512 };

struct pattern {
	char *module; /* NULL = any */
	char *name;   /* NULL = any */
};

struct alternative {
	struct pattern *list;
	size_t n;
};

struct rule {
	struct origin origin;
	bool general;
	struct alternative *alternatives;
	size_t nalternatives, alternatives_cap;
	struct pattern *excepts;
	size_t nexcepts, excepts_cap;
	char **paths;
	size_t npaths, paths_cap;
};

struct origins {
	struct rule *rules;
	size_t n, cap;
	size_t patterns;
};

/* --- making --- */

struct origins *origins_new(void)
{
	return calloc(1, sizeof(struct origins));
}

static void free_pattern(struct pattern *pattern)
{
	free(pattern->module);
	free(pattern->name);
}

static void free_alternative(struct alternative *alternative)
{
	for (size_t i = 0; i < alternative->n; i++)
		free_pattern(&alternative->list[i]);
	free(alternative->list);
}

static void free_rule(struct rule *rule)
{
	free((char *)rule->origin.name);
	free((char *)rule->origin.about);
	free((char *)rule->origin.advice);
	free((char *)rule->origin.crac);
	for (size_t i = 0; i < rule->nalternatives; i++)
		free_alternative(&rule->alternatives[i]);
	for (size_t i = 0; i < rule->nexcepts; i++)
		free_pattern(&rule->excepts[i]);
	for (size_t i = 0; i < rule->npaths; i++)
		free(rule->paths[i]);
	free(rule->alternatives);
	free(rule->excepts);
	free(rule->paths);
}

void origins_free(struct origins *origins)
{
	if (!origins)
		return;
	for (size_t i = 0; i < origins->n; i++)
		free_rule(&origins->rules[i]);
	free(origins->rules);
	free(origins);
}

static bool copy_string(const char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return !from || *to;
}

int origins_add(struct origins *origins, const struct origin *origin, bool general)
{
	if (grow(&origins->rules, &origins->cap, origins->n + 1, sizeof(*origins->rules)) < 0)
		return -ENOMEM;
	struct rule *rule = &origins->rules[origins->n++];
	*rule = (struct rule){.general = general};
	if (!copy_string(&rule->origin.name, origin->name) || !copy_string(&rule->origin.about, origin->about) ||
	        !copy_string(&rule->origin.advice, origin->advice) || !copy_string(&rule->origin.crac, origin->crac))
		return -ENOMEM;
	return (int)origins->n - 1;
}

/* "libc.so*!__nscd_*": split at the first '!'. An empty part stands for any. */
static int make_pattern(struct pattern *pattern, const char *text)
{
	const char *mark = strchr(text, '!'), *name = mark ? mark + 1 : text;
	*pattern = (struct pattern){0};
	if (mark && mark > text && !(pattern->module = strndup(text, (size_t)(mark - text))))
		return -ENOMEM;
	if (*name && strcmp(name, "*") != 0 && !(pattern->name = strdup(name)))
		return -ENOMEM;
	return 0;
}

int origins_add_match(struct origins *origins, size_t number, const char *const *patterns, size_t n)
{
	struct rule *rule = &origins->rules[number];
	if (grow(&rule->alternatives, &rule->alternatives_cap, rule->nalternatives + 1, sizeof(*rule->alternatives)) <
	        0)
		return -ENOMEM;
	struct alternative *alternative = &rule->alternatives[rule->nalternatives++];
	*alternative = (struct alternative){.list = calloc(n + 1, sizeof(*alternative->list))};
	if (!alternative->list)
		return -ENOMEM;
	origins->patterns += n;
	for (size_t i = 0; i < n; i++)
		if (make_pattern(&alternative->list[alternative->n++], patterns[i]) < 0)
			return -ENOMEM;
	return 0;
}

int origins_add_except(struct origins *origins, size_t number, const char *pattern)
{
	struct rule *rule = &origins->rules[number];
	if (grow(&rule->excepts, &rule->excepts_cap, rule->nexcepts + 1, sizeof(*rule->excepts)) < 0)
		return -ENOMEM;
	origins->patterns++;
	return make_pattern(&rule->excepts[rule->nexcepts++], pattern);
}

int origins_add_path(struct origins *origins, size_t number, const char *glob)
{
	struct rule *rule = &origins->rules[number];
	if (grow(&rule->paths, &rule->paths_cap, rule->npaths + 1, sizeof(*rule->paths)) < 0)
		return -ENOMEM;
	origins->patterns++;
	rule->paths[rule->npaths] = strdup(glob);
	return rule->paths[rule->npaths++] ? 0 : -ENOMEM;
}

size_t origins_patterns(const struct origins *origins)
{
	return origins->patterns;
}

/* --- matching --- */

bool origin_glob(const char *glob, const char *s, size_t len)
{
	const char *star = NULL;
	size_t at = 0, again = 0;
	while (at < len) {
		if (*glob == '*') {
			star = ++glob;
			again = at;
		} else if (*glob && (*glob == '?' || *glob == s[at])) {
			glob++;
			at++;
		} else if (star) {
			glob = star;
			at = ++again;
		} else {
			return false;
		}
	}
	while (*glob == '*')
		glob++;
	return !*glob;
}

/* A frame's names with their lengths, which all patterns look at. */
struct view {
	const char *name, *module, *file; /* NULL = none; `file`: of the module, without its folders */
	size_t name_len, module_len, file_len;
};

static struct view view_of(const struct frame *frame)
{
	struct view view = {.name = frame->name, .module = frame->module, .file = frame->module};
	const char *slash = frame->module ? strrchr(frame->module, '/') : NULL;
	if (slash)
		view.file = slash + 1;
	view.name_len = view.name ? strnlen(view.name, MOST_NAME) : 0;
	view.module_len = view.module ? strnlen(view.module, MOST_NAME) : 0;
	view.file_len = view.file ? strnlen(view.file, MOST_NAME) : 0;
	return view;
}

static bool matches(const struct pattern *pattern, const struct view *view)
{
	if (pattern->name && (!view->name || !origin_glob(pattern->name, view->name, view->name_len)))
		return false;
	if (!pattern->module)
		return true;
	if (!view->module)
		return false;
	return strchr(pattern->module, '/') ? origin_glob(pattern->module, view->module, view->module_len)
	                                    : origin_glob(pattern->module, view->file, view->file_len);
}

static bool is_except(const struct rule *rule, const struct view *view)
{
	for (size_t i = 0; i < rule->nexcepts; i++)
		if (matches(&rule->excepts[i], view))
			return true;
	return false;
}

/* Whether the other patterns are found in their order, further out than frame `at`. */
static bool rest_matches(const struct alternative *alternative, const struct stack *stack, size_t at)
{
	size_t k = 1;
	for (size_t i = at + 1; i < stack->nframes && k < alternative->n; i++) {
		struct view view = view_of(&stack->frames[i]);
		k += matches(&alternative->list[k], &view);
	}
	return k >= alternative->n;
}

static bool rule_matches(const struct rule *rule, const struct view *view, const struct stack *stack, size_t at)
{
	for (size_t i = 0; i < rule->nalternatives; i++) {
		const struct alternative *alternative = &rule->alternatives[i];
		if (matches(&alternative->list[0], view) && !is_except(rule, view) &&
		        rest_matches(alternative, stack, at))
			return true;
	}
	return false;
}

/* From the call outwards, so that the nearest frame is the first to be found. */
static bool match_stack(const struct origins *origins, const struct stack *stack, bool general, struct origin_hit *ret)
{
	for (size_t at = 0; at < stack->nframes; at++) {
		struct view view = view_of(&stack->frames[at]);
		for (size_t i = 0; i < origins->n; i++) {
			const struct rule *rule = &origins->rules[i];
			if (rule->general != general || !rule_matches(rule, &view, stack, at))
				continue;
			*ret = (struct origin_hit){&rule->origin, at, SIZE_MAX};
			return true;
		}
	}
	return false;
}

static bool match_path(const struct origins *origins, const char *path, struct origin_hit *ret)
{
	for (size_t i = 0; i < origins->n; i++)
		for (size_t k = 0; k < origins->rules[i].npaths; k++)
			if (origin_glob(origins->rules[i].paths[k], path, strlen(path))) {
				*ret = (struct origin_hit){&origins->rules[i].origin, SIZE_MAX, SIZE_MAX};
				return true;
			}
	return false;
}

bool origins_match(const struct origins *origins, const struct stack *stack, const char *path, struct origin_hit *ret)
{
	bool found = (stack && match_stack(origins, stack, false, ret)) || (path && match_path(origins, path, ret)) ||
	             (stack && match_stack(origins, stack, true, ret));
	if (found && stack)
		ret->by = origin_by(stack);
	return found;
}

static bool is_of_jdk(const char *name)
{
	static const char *const prefixes[] = {"java.", "javax.", "jdk.", "sun.", "com.sun."};
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++)
		if (!strncmp(name, prefixes[i], strlen(prefixes[i])))
			return true;
	return false;
}

static bool is_of_program(const struct frame *frame)
{
	if (!frame->name)
		return false;
	if (frame->kind == FRAME_JAVA)
		return !is_of_jdk(frame->name);
	if (frame->kind == FRAME_JS)
		return frame->file && strncmp(frame->file, "node:", 5) != 0;
	return frame->kind == FRAME_PYTHON || frame->kind == FRAME_LUA;
}

size_t origin_by(const struct stack *stack)
{
	for (size_t i = 0; i < stack->nframes; i++)
		if (is_of_program(&stack->frames[i]))
			return i;
	return SIZE_MAX;
}

void origin_policy(struct text *out, const struct origin *origin, const char *path, int fd)
{
	const char *at = origin->crac ? origin->crac : "";
	while (*at) {
		size_t plain = strcspn(at, "{");
		text_add(out, at, plain);
		at += plain;
		if (path && !strncmp(at, "{path}", 6)) {
			text_add_clean(out, path, strlen(path));
			at += 6;
		} else if (fd >= 0 && !strncmp(at, "{fd}", 4)) {
			text_addi(out, fd);
			at += 4;
		} else if (*at) {
			text_addc(out, *at++);
		}
	}
}
