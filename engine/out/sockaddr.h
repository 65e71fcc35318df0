/* Socket addresses as people and JSON readers see them. */
#ifndef RILLE_OUT_SOCKADDR_H
#define RILLE_OUT_SOCKADDR_H

#include "engine/base/text.h"

#include <stddef.h>
#include <stdint.h>

/* `data` holds the `len` bytes that the traced process passed as a struct sockaddr: any bytes, any length. */

/* "127.0.0.1:80", "[fe80::1%2]:80", "/run/x.sock", "@abstract", "(unnamed)", "netlink:pid=0,groups=0x11", … */
void sockaddr_text(struct text *out, const uint8_t *data, size_t len);
/* The same as a JSON object: {"family":"AF_INET","address":"127.0.0.1","port":80,"text":"127.0.0.1:80"}. */
void sockaddr_json(struct text *out, const uint8_t *data, size_t len);
/* "AF_UNIX"; NULL for one without a common name. */
const char *sockaddr_family(unsigned family);

#endif
