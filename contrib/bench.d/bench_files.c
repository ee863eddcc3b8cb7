/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * bench_files DIR N SIZE: creates N files of SIZE bytes in DIR, one after the
 * other, as a program that only knows files does. Prints the seconds it took.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int create(int dir, unsigned number, const char *content, size_t size)
{
	char name[24];
	int fd;

	snprintf(name, sizeof(name), "file-%08u", number);
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0666);
	if (fd < 0 || write(fd, content, size) != (ssize_t)size)
		return -1;
	return close(fd);
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return fprintf(stderr, "usage: bench_files DIR N SIZE\n"), 1;
	unsigned n = (unsigned)strtoul(argv[2], NULL, 10);
	size_t size = strtoul(argv[3], NULL, 10);
	char *content = calloc(1, size + 1);
	int dir = open(argv[1], O_RDONLY | O_DIRECTORY);
	double start = now();

	if (dir < 0 || !content)
		return perror(argv[1]), 1;
	for (unsigned i = 0; i < n; i++)
		if (create(dir, i, content, size))
			return perror(argv[1]), 1;
	printf("%.4f\n", now() - start);
	free(content);
	return 0;
}
