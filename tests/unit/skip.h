/* A skip that says why: cmocka's skip() has no room for a reason, so tests/run.py reads it from this line. */
#ifndef RILLE_TESTS_UNIT_SKIP_H
#define RILLE_TESTS_UNIT_SKIP_H

#include <stdio.h>

#define skip_because(reason)                                                                                           \
	do {                                                                                                           \
		printf("# skip %s: %s\n", __func__, reason);                                                           \
		skip();                                                                                                \
	} while (0)

#endif
