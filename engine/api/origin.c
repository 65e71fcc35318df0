/* What stacks are about, for hosts.
 *
 * The rules are a table of Lua's, which every script has and may add to; so a handle whose probes were declared from C
 * keeps a second one with a recipe in it, of which nothing else is used. */
#include "engine/api/handle.h"
#include "engine/stack/origin.h"

#include <errno.h>
#include <stdlib.h>

enum { MOST_FRAMES = 1024 }; /* as in scripts */

static rille *with_script(rille *r)
{
	if (r->script || r->scriptless)
		return r->script ? r : r->scriptless;
	rille *other = rille_new(NULL);
	if (other && rille_load_recipe(other, "socket") < 0) {
		rille_free(other);
		other = NULL;
	}
	r->scriptless = other;
	return other;
}

/* The host's frames as the engine has them; freed by the caller. */
static struct frame *read_frames(const struct rille_frame *from, size_t n)
{
	struct frame *frames = calloc(n + 1, sizeof(*frames));
	for (size_t i = 0; frames && i < n; i++)
		frames[i] = (struct frame){
		        .kind = (uint8_t)frame_kind_find(from[i].kind),
		        .name = from[i].name,
		        .module = from[i].module,
		        .file = from[i].file,
		};
	return frames;
}

static int64_t number_of(size_t frame)
{
	return frame == SIZE_MAX ? -1 : (int64_t)frame;
}

static int tell(rille *r, const struct origin_hit *hit, const char *path, struct rille_origin *ret)
{
	struct rille_origin origin = {
	        .name = hit->origin->name,
	        .about = hit->origin->about,
	        .advice = hit->origin->advice,
	        .frame = number_of(hit->frame),
	        .by = number_of(hit->by),
	};
	if (hit->origin->crac) {
		text_reset(&r->policy);
		origin_policy(&r->policy, hit->origin, path, -1);
		if (text_failed(&r->policy))
			return err_nomem(&r->err);
		origin.crac = text_str(&r->policy);
	}
	return handle_write_struct(r, "rille_origin", ret, &origin, sizeof(origin));
}

int rille_origin(rille *r, const struct rille_frame *frames, size_t nframes, const char *path, struct rille_origin *ret)
{
	struct origin_hit hit = {.by = SIZE_MAX};
	struct stack stack = {.nframes = nframes < MOST_FRAMES ? nframes : MOST_FRAMES};
	int e = handle_enter(r, "origin");
	if (e < 0)
		return e;
	if (!ret || (nframes && !frames))
		return handle_null(r, "rille_origin", ret ? "frames" : "ret");
	rille *rules = with_script(r);
	const struct origins *origins = rules ? script_origins(rules->script, &r->err) : NULL;
	if (!origins)
		return r->err.code ? handle_error(r, r->err.code) : err_nomem(&r->err);
	stack.frames = read_frames(frames, stack.nframes);
	if (!stack.frames)
		return err_nomem(&r->err);
	e = origins_match(origins, nframes ? &stack : NULL, path, &hit) ? tell(r, &hit, path, ret) : -ENODATA;
	free(stack.frames);
	return e;
}
