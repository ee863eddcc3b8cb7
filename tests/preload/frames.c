/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Loaded before datawalfs: notes from where it writes records and takes mutexes.
 *
 * Each pwritev(2) or pwrite(2) and each pthread_mutex_lock(3) is a line in the file
 * FRAMES: its name, the descriptor or the mutex, and the return addresses in
 * datawalfs that lead to it, the innermost first, as offsets that addr2line(1)
 * knows.
 * tests/test_frames.py reads them.
 */
#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#define FRAMES_MOST 64

static struct {
	uintptr_t base, start, end; /* of datawalfs */
} program;
static int file = -1;
static _Thread_local int busy; /* what is called from here is not noted */

static int find_program(struct dl_phdr_info *info, size_t size, void *data)
{
	(void)size, (void)data;
	program.base = info->dlpi_addr;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &info->dlpi_phdr[i];

		if (part->p_type == PT_LOAD && part->p_flags & PF_X) {
			program.start = program.base + part->p_vaddr;
			program.end = program.start + part->p_memsz;
		}
	}
	return 1; /* the program itself comes first */
}

__attribute__((constructor)) static void prepare(void)
{
	const char *path = getenv("FRAMES");
	void *one;

	busy = 1;
	(void)backtrace(&one, 1); /* loads what it needs, which takes mutexes */
	dl_iterate_phdr(find_program, NULL);
	if (path)
		file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	busy = 0;
}

static void note(const char *call, uintptr_t object)
{
	void *frames[FRAMES_MOST];
	char line[FRAMES_MOST * 20];
	int n, length;

	if (busy || file < 0)
		return;
	busy = 1;
	n = backtrace(frames, FRAMES_MOST);
	length = snprintf(line, sizeof(line), "%s %lx", call, (unsigned long)object);
	for (int i = 0; i < n; i++) {
		uintptr_t address = (uintptr_t)frames[i];

		if (address >= program.start && address < program.end)
			length += snprintf(line + length, sizeof(line) - (size_t)length, " %lx",
					   (unsigned long)(address - program.base));
	}
	line[length++] = '\n';
	if (write(file, line, (size_t)length) != length)
		abort();
	busy = 0;
}

ssize_t pwritev64(int fd, const struct iovec *iov, int n, off64_t offset)
{
	ssize_t (*write_all)(int, const struct iovec *, int, off64_t) =
		dlsym(RTLD_NEXT, "pwritev64");

	note("pwritev", (uintptr_t)fd);
	return write_all(fd, iov, n, offset);
}

/* What is one piece. */
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset)
{
	ssize_t (*write_all)(int, const void *, size_t, off64_t) = dlsym(RTLD_NEXT, "pwrite64");

	note("pwritev", (uintptr_t)fd);
	return write_all(fd, data, size, offset);
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
	static int (*lock)(pthread_mutex_t *);

	if (!lock)
		lock = dlsym(RTLD_NEXT, "pthread_mutex_lock");
	note("pthread_mutex_lock", (uintptr_t)mutex);
	return lock(mutex);
}
