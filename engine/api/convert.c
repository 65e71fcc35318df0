/* rille_convert(): a report from a trace, through the same outputs and settings as a trace. */
#include "engine/core/convert.h"
#include "engine/api/handle.h"

#include <errno.h>

int rille_convert(rille *r, const struct rille_conversion *given)
{
	struct rille_conversion options;
	int e = handle_enter_early(r, "rille_convert");
	if (e < 0)
		return e;
	if (!given)
		return handle_null(r, "rille_convert", "what");
	if (!handle_read_struct(&options, sizeof(options), given))
		return err_set(
		        &r->err, -EINVAL, ERR_RUNTIME, "bad-argument", "rille_convert: a struct of another version");
	struct conversion what = {
	        .fd = options.fd,
	        .name = options.name ? options.name : "the trace",
	        .pids = options.pids,
	        .npids = options.npids,
	        .comm = options.comm,
	};
	e = handle_add_outputs(r);
	if (e == 0 && r->shared.origins && !r->script) /* what stacks are about is a table that every script has */
		e = rille_load_recipe(r, "socket");
	if (e == 0)
		e = session_convert(r->session, &what, &r->err);
	return e < 0 ? handle_error(r, e) : 0;
}
