/* From generated C to object bytes.
 *
 * What is generated depends on the script, the options and this kernel's layout, and on nothing else: parameters, names
 * and ids of targets go into .rodata at load. So the object's key in the cache is the generated text and the compiler's
 * identity, and a second start runs no compiler.
 *
 * Starting rille-cc takes about 10 ms that can pass while the engine reads the kernel's types. Whether it will be
 * needed is only known once the text is there; the cache keeps a small note from (script, options) to the key of last
 * time's object, and the compiler is started early only if that note or the object is missing. */
#include "engine/core/build.h"
#include "engine/core/state.h"
#include "engine/probe/cache.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void make_note_key(struct build *build)
{
	const struct session *session = build->session;
	struct gen_options options = session->gen_options;
	options.self = options.self != 0;
	const char *source = session->spec.source ? session->spec.source : "";
	const char *filter = session->spec.filter.text ? session->spec.filter.text : "";
	const void *parts[] = {"note", source, filter, &options, build->identity.data};
	const size_t lens[] = {4, strlen(source), strlen(filter), sizeof(options), build->identity.len};
	cache_key(build->note, parts, lens, sizeof(lens) / sizeof(*lens));
}

static bool is_likely_cached(struct build *build)
{
	void *key;
	size_t len;
	char name[65];
	int cache = build->session->cache_fd;
	if (cache < 0)
		return false;
	make_note_key(build);
	if (cache_get(cache, build->note, &key, &len) < 0)
		return false;
	build->noted = true;
	snprintf(name, sizeof(name), "%.*s", (int)(len < 64 ? len : 64), (const char *)key);
	free(key);
	return faccessat(cache, name, R_OK, 0) == 0;
}

int build_begin(struct build *build, struct session *session, struct err *err)
{
	struct catalog *catalog;
	memset(build, 0, sizeof(*build));
	build->session = session;
	build->options.path = session->compiler;
	build->options.log = &session->log;
	int r = session_catalog(session, &catalog, err); /* opens the cache, too */
	if (session->object)
		return r;
	if (r == 0)
		r = compiler_identity(&build->options, &build->identity, err);
	if (r == 0 && !is_likely_cached(build))
		r = compiler_start(&build->compiler, &build->options, err);
	return r;
}

int build_output(struct build *build, enum compile_output output, struct err *err)
{
	const struct text *source = &build->session->plan.source;
	int r = build->compiler ? 0 : compiler_start(&build->compiler, &build->options, err);
	if (r < 0)
		return r;
	return compiler_run(build->compiler, text_str(source), source->len, output, &build->object, &build->len, err);
}

static bool find_cached(struct build *build)
{
	const struct text *source = &build->session->plan.source;
	const void *parts[] = {"object", source->data, build->identity.data};
	const size_t lens[] = {6, source->len, build->identity.len};
	cache_key(build->key, parts, lens, sizeof(lens) / sizeof(*lens));
	build->cached = cache_get(build->session->cache_fd, build->key, &build->object, &build->len) == 0;
	return build->cached;
}

/* An object that was made elsewhere is right if the source that it was made of is the one that we have. */
static int take_given(struct build *build, struct err *err)
{
	const struct session *session = build->session;
	uint8_t digest[PORTABLE_DIGEST];
	portable_digest(&session->plan.source, digest);
	if (memcmp(digest, session->object_digest, sizeof(digest)) != 0) {
		err_set(err, -EINVAL, ERR_SCRIPT, "object-mismatch",
		        "the object does not fit: here the same declarations make another program");
		err_hint(err, "this kernel's tracepoints or structures differ, or the version of Rille, or a setting "
		              "(filter, stack, depth); emit the object anew");
		return -EINVAL;
	}
	build->object = malloc(session->object_len);
	if (!build->object)
		return err_nomem(err);
	memcpy(build->object, session->object, session->object_len);
	build->len = session->object_len;
	return 0;
}

int build_object(struct build *build, struct err *err)
{
	if (build->session->object)
		return take_given(build, err);
	int cache = build->session->cache_fd;
	if (cache < 0)
		return build_output(build, COMPILE_OBJECT, err);
	if (!find_cached(build)) {
		int r = build_output(build, COMPILE_OBJECT, err);
		if (r < 0)
			return r;
		cache_put(cache, build->key, build->object, build->len, 0);
	}
	if (!build->noted || !build->cached)
		cache_put(cache, build->note, build->key, sizeof(build->key) - 1, 0);
	return 0;
}

void build_end(struct build *build)
{
	compiler_free(build->compiler);
	text_fini(&build->identity);
	free(build->object);
}
