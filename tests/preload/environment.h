/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * For what is loaded before datawalfs, which clears its environment: the
 * environment that it was started with.
 */
#ifndef ENVIRONMENT_H
#define ENVIRONMENT_H

#include <stdlib.h>
#include <string.h>

extern char **environ;
static char **environment_then;

__attribute__((constructor(101))) static void environment_keep(void)
{
	size_t n = 0;

	while (environ[n])
		n++;
	environment_then = calloc(n + 1, sizeof(char *));
	while (environment_then && n-- > 0)
		environment_then[n] = strdup(environ[n]);
}

/* As getenv(3). */
__attribute__((unused)) static char *given(const char *name)
{
	size_t len = strlen(name);

	for (char **one = environment_then; one && *one; one++)
		if (strncmp(*one, name, len) == 0 && (*one)[len] == '=')
			return *one + len + 1;
	return NULL;
}

#endif
