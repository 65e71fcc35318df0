/* What a declaration may say, wherever it is made: in a script's table or in a C struct.
 *
 * A field's short form, the names that fields can have and the words for stacks are rules of the language, not of Lua. Both
 * ways of declaring come here with strings that know their places, so that both give the same errors. */
#include "engine/probe/spec.h"
#include "engine/base/grow.h"
#include "engine/base/nearest.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A field of this name would hide what every event has. `type` is a kind of record only in JSON, where the field is
 * written as `type_`. */
static const char *const reserved_fields[] = {"probe", "time", "nsecs", "number", "pid", "tid", "ppid", "comm",
        "ustack", "kstack", "ustack_end", "kstack_end", "copy", "show", NULL};

const char *spec_keep(struct spec *spec, char *place)
{
	if (!place || grow(&spec->places, &spec->places_cap, spec->nplaces + 1, sizeof(*spec->places)) < 0) {
		free(place);
		return NULL;
	}
	return spec->places[spec->nplaces++] = place;
}

bool spec_is_identifier(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && s[i] != '_')
			return false;
	return n && n < 64 && !isdigit((unsigned char)s[0]);
}

/* The '=' that separates name and expression, or NULL: not one of == != ~= <= >=. */
static const char *find_assign(const char *s)
{
	for (const char *p = s; *p; p++) {
		if (*p == '=' && p[1] == '=')
			p++;
		else if (*p == '=' && (p == s || !strchr("!~<>", p[-1])))
			return p;
	}
	return NULL;
}

/* A part of a string, without the blanks around it, with its own place. */
static int cut(const struct spec_text *whole, const char *from, const char *to, struct spec_text *ret)
{
	while (from < to && isspace((unsigned char)*from))
		from++;
	while (to > from && isspace((unsigned char)to[-1]))
		to--;
	ret->pos = whole->pos;
	for (const char *p = whole->text; p < from && ret->pos.line; p++) {
		ret->pos.col = *p == '\n' ? 1 : ret->pos.col + 1;
		ret->pos.line += *p == '\n';
	}
	ret->text = strndup(from, (size_t)(to - from));
	return ret->text ? 0 : -ENOMEM;
}

int spec_split_field(const struct spec_text *whole, struct spec_field *field, struct err *err)
{
	const char *end = whole->text + strlen(whole->text), *assign = find_assign(whole->text);
	int r = cut(whole, whole->text, assign ? assign : end, &field->name);
	if (r == 0)
		r = assign ? cut(whole, assign + 1, end, &field->expr) : cut(whole, whole->text, end, &field->expr);
	if (r < 0)
		return err_nomem(err);
	if (assign || spec_is_identifier(field->name.text, strlen(field->name.text)))
		return 0;
	return err_at(err, field->name.pos, "bad-field", "a field needs a name: \"name = expression\"");
}

const char *aggregate_kind_name(unsigned kind)
{
	static const char *const names[] = {[AGGREGATE_COUNT] = "count",
	        [AGGREGATE_SUM] = "sum",
	        [AGGREGATE_AVG] = "avg",
	        [AGGREGATE_MIN] = "min",
	        [AGGREGATE_MAX] = "max",
	        [AGGREGATE_HIST] = "hist",
	        [AGGREGATE_LHIST] = "lhist"};
	return kind < AGGREGATE_KINDS ? names[kind] : NULL;
}

/* The name and that there is an expression; `what` is "field" or "key". */
static int check_form(const struct spec_field *field, const char *what, struct err *err)
{
	const struct spec_text *name = &field->name;
	if (!spec_is_identifier(name->text, strlen(name->text)))
		return err_at(err, name->pos, "bad-field", "'%s' is not a name for a %s (letters, digits, _)",
		        name->text, what);
	if (!field->expr.text[0])
		return err_at(err, field->expr.pos, "bad-field", "%s '%s' has no expression", what, name->text);
	return 0;
}

int spec_check_key(const struct spec_aggregate *aggregate, const struct spec_field *key, struct err *err)
{
	const struct spec_text *name = &key->name;
	int r = check_form(key, "key", err);
	if (r < 0)
		return r;
	if (strcmp(name->text, "value") == 0)
		return err_at(err, name->pos, "reserved-name",
		        "what is counted is called 'value'; a key needs "
		        "another name");
	for (const struct spec_field *other = aggregate->fields; other < key; other++)
		if (strcmp(other->name.text, name->text) == 0)
			return err_at(err, name->pos, "duplicate-field", "there are two keys '%s'", name->text);
	return 0;
}

int spec_check_field(const struct spec_probe *probe, const struct spec_field *field, struct err *err)
{
	const struct spec_text *name = &field->name;
	int r = check_form(field, "field", err);
	if (r < 0)
		return r;
	for (size_t i = 0; reserved_fields[i]; i++) {
		if (strcmp(reserved_fields[i], name->text) != 0)
			continue;
		err_at(err, name->pos, "reserved-name", "every event has '%s' already; a field needs another name",
		        name->text);
		err_hint(err, "write \"my_%s = …\", or leave it out", name->text);
		return -EINVAL;
	}
	for (const struct spec_field *other = probe->fields; other < field; other++)
		if (strcmp(other->name.text, name->text) == 0)
			return err_at(err, name->pos, "duplicate-field", "there are two fields '%s'", name->text);
	return 0;
}

/* Which of the n words it is; -1, with what was probably meant in `nearest`. */
static int find_word(const char *word, const char *const *words, int n, struct nearest *nearest)
{
	nearest_init(nearest, word);
	for (int i = 0; i < n; i++) {
		if (strcmp(word, words[i]) == 0)
			return i;
		nearest_offer(nearest, words[i]);
	}
	return -1;
}

int spec_read_sides(const struct spec_text *word, unsigned *ret_sides, struct err *err)
{
	static const char *const sides[] = {"user", "kernel", "both"};
	struct nearest nearest;
	int found = find_word(word->text, sides, 3, &nearest);
	if (found >= 0) {
		*ret_sides = (unsigned)found + 1;
		return 0;
	}
	err_at(err, word->pos, "bad-value", "`stack` is \"user\", \"kernel\" or \"both\", not \"%s\"", word->text);
	if (nearest.best)
		err_hint(err, "did you mean %s?", nearest.best);
	else
		err_hint(err, "known here: user kernel both");
	return -EINVAL;
}

int spec_read_moment(const struct spec_text *word, struct spec_probe *probe, struct err *err)
{
	static const char *const moments[] = {"exit", "entry"};
	struct nearest nearest;
	int found = find_word(word->text, moments, 2, &nearest);
	probe->at_entry = found == 1;
	if (found == 0 || (found == 1 && strncmp(probe->on.text, "syscall:", 8) == 0))
		return 0;
	if (found == 1)
		return err_at(err, word->pos, "bad-value", "`at` is for system calls, and this is %s", probe->on.text);
	err_at(err, word->pos, "bad-value", "`at` is \"entry\" or \"exit\", not \"%s\"", word->text);
	if (nearest.best)
		err_hint(err, "did you mean %s?", nearest.best);
	else
		err_hint(err, "known here: entry exit");
	return -EINVAL;
}
