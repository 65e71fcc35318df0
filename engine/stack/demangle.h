/* C++ and Rust names as their authors wrote them. */
#ifndef RILLE_STACK_DEMANGLE_H
#define RILLE_STACK_DEMANGLE_H

/* The readable form, malloc()ed; NULL if the name is not mangled. */
char *demangle(const char *name);

#endif
