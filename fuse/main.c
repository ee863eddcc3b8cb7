/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * datawalfs: the life of a mount. Checks, opens the log, mounts, says that
 * the mount works, serves it, and at its end commits and syncs everything.
 * Must not know what a request means.
 *
 * Three kinds of threads: the main one, which waits for libfuse's loop; the
 * loop's workers; and the watcher, the only one that takes signals.
 *
 * None of them ever touches a file of the mount. A thread that waits for an
 * answer of its own process keeps /dev/fuse open when that process is killed:
 * the kernel then never gives up on the mount, and the process, with the lock
 * on the log, is there for good. What must be done on the mount is done by
 * processes that do not have /dev/fuse open.
 */
#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include "descriptors.h"
#include "file/pending.h"
#include "fs.h"
#include "mount/keeper.h"
#include "mount/mounting.h"
#include "mount/options.h"
#include "mount/refusal.h"
#include "mount/remount.h"
#include "mount/resources.h"
#include "mount/store.h"
#include "ops/ops.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define IDLE_THREADS_MOST 4
#define WAKE_SIGNAL       SIGUSR1
#define WAKE_PAUSE_NS     20000000L
#define GRACE_NS          2000000000L

struct daemon {
	struct fs *fs;
	struct fuse_session *session;
	struct keeper *keeper;
	struct resources resources;
	dev_t device;         /* the mount's; 0 while there is none */
	int ready_fd;         /* where the parent waits; -1 in the foreground */
	sigset_t end_signals; /* blocked in every thread; the watcher waits for them */
	pthread_t main_thread;
	pthread_t watcher;
	atomic_bool in_background; /* stderr is gone */
	atomic_bool stopped;       /* by a signal */
	atomic_bool loop_ended;
	atomic_bool failed; /* and was reported */
};

/* A failure, to whoever can still read it. */
static void report(struct daemon *d, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void report(struct daemon *d, const char *format, ...)
{
	char line[1024];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(line, sizeof(line), format, args); /* cut if long */
	va_end(args);
	if (atomic_load(&d->in_background))
		syslog(LOG_DAEMON | LOG_ERR, "%s", line);
	else
		complain("%s", line);
	atomic_store(&d->failed, true);
}

/* What libfuse has to say, until the mount is there. */
__attribute__((format(printf, 2, 0))) static void log_with_name(enum fuse_log_level level,
								const char *format, va_list args)
{
	if (level != FUSE_LOG_DEBUG)
		(void)fputs("datawalfs: ", stderr); /* nowhere else to say it */
	(void)vfprintf(stderr, format, args);
}

__attribute__((format(printf, 2, 0))) static void log_to_syslog(enum fuse_log_level level,
								const char *format, va_list args)
{
	vsyslog(LOG_DAEMON | (int)level, format, args);
}

static void tell_recovery(struct fs *fs)
{
	const struct dwal_report *found = dwal_kv_report(fs->kv);
	const char *refusal = dwal_kv_refusal(fs->kv);
	char text[512];

	if (refusal && !fs->opt.read_only)
		complain("warning: %s", refusal);
	if (!found->damage_count || !(found->made_side_file || found->intact.records))
		return; /* a torn tail that was left alone may be a writer at work */
	dwal_damage_text(&found->damage[found->damage_count - 1], found->made_side_file, text,
			 sizeof(text));
	complain("%s: %s", fs->opt.log_dir, text);
	if (found->intact.records)
		syslog(LOG_DAEMON | LOG_WARNING, "%s: %s", fs->opt.log_dir, text);
}

static int open_store(struct daemon *d, struct request *request)
{
	struct dwal_error error = {.code = 0};
	int err = store_open(&request->fs, &d->fs, &error);

	if (err) {
		complain("%s", *error.message ? error.message : dwal_strerror(err));
		return -1;
	}
	tell_recovery(d->fs);
	return 0;
}

/* Our own come first: what the user says of the same wins. */
static int session_args(struct daemon *d, const struct request *request, struct fuse_args *args)
{
	char *options = NULL, *fsname, max_read[32];
	int err;

	(void)snprintf(max_read, sizeof(max_read), "max_read=%" PRIu32, d->fs->opt.max_read);
	if (asprintf(&fsname, "fsname=%s", d->fs->opt.log_dir) < 0)
		return -1;
	err = fuse_opt_add_opt_escaped(&options, fsname) ||
	      fuse_opt_add_opt(&options, "subtype=datawalfs") ||
	      fuse_opt_add_opt(&options, "default_permissions") ||
	      (d->fs->opt.max_read && fuse_opt_add_opt(&options, max_read)) ||
	      (request->passed && fuse_opt_add_opt(&options, request->passed)) ||
	      (request->debug && fuse_opt_add_opt(&options, "debug")) ||
	      fuse_opt_add_arg(args, "datawalfs") || fuse_opt_add_arg(args, "-o") ||
	      fuse_opt_add_arg(args, options);
	free(fsname);
	free(options);
	return err ? -1 : 0;
}

/* The device of what is mounted on path, 0 when that cannot be told. Sends no
 * request to a mount there. */
static dev_t device_of(const char *path)
{
	struct statx found;

	if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, 0, &found) != 0)
		return 0;
	return makedev(found.stx_dev_major, found.stx_dev_minor);
}

/* Not unmounted, also not lazily, and nothing mounted on top of it? */
static bool is_mounted(const struct daemon *d)
{
	return d->device && device_of(d->fs->opt.mountpoint) == d->device;
}

/* Replaces /dev/fuse by the reserve, a pipe that nobody reads: for the kernel the
 * daemon is gone, for libfuse the mount is. */
static bool hang_up(struct daemon *d)
{
	return dup3(d->resources.reserve[1], fuse_session_fd(d->session), O_CLOEXEC) >= 0;
}

/* Cuts the connection and takes the mount away. libfuse does so by the path:
 * only if the mount is there still. */
static void unmount(struct daemon *d)
{
	if (d->session && (is_mounted(d) || hang_up(d)))
		fuse_session_unmount(d->session);
}

static int mount_session(struct daemon *d, const struct request *request)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct refusal refusal;
	char *why;

	refusal_listen(&refusal);
	if (session_args(d, request, &args) == 0)
		d->session = fuse_session_new(&args, &fs_ops, sizeof(fs_ops), d->fs);
	fuse_opt_free_args(&args);
	if (!d->session || fuse_session_mount(d->session, d->fs->opt.mountpoint) != 0) {
		why = refusal_text(&refusal);
		complain("%s cannot be mounted on %s%s%s", d->fs->opt.log_dir,
			 d->fs->opt.mountpoint, why ? ": " : "", why ? why : "");
		free(why);
		return -1;
	}
	refusal_none(&refusal);
	d->device = device_of(d->fs->opt.mountpoint);
	fuse_set_log_func(NULL); /* as it comes: a fault of ours, if anything */
	return 0;
}

/* Tells the parent to try the mount. From here on nobody reads stderr. -1 when
 * the parent is gone: it was interrupted, and the mount is not wanted. */
static int announce(struct daemon *d)
{
	ssize_t told;
	int null;

	if (d->ready_fd < 0)
		return 0;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = STDIN_FILENO; null >= 0 && fd <= STDERR_FILENO; fd++)
		(void)dup2(null, fd); /* cannot fail for these */
	if (null > STDERR_FILENO)
		(void)close(null);
	atomic_store(&d->in_background, true);
	fuse_set_log_func(log_to_syslog);
	told = write(d->ready_fd, "", 1);
	(void)close(d->ready_fd); /* a pipe */
	return told == 1 ? 0 : -1;
}

/* Ends the loop from outside. It notices when its wait is interrupted; the
 * signal is repeated as it may come just before the wait. */
static void stop_loop(struct daemon *d)
{
	fuse_session_exit(d->session);
	while (!atomic_load(&d->loop_ended)) {
		(void)pthread_kill(d->main_thread, WAKE_SIGNAL); /* the thread is there */
		(void)nanosleep(&(struct timespec){.tv_nsec = WAKE_PAUSE_NS}, NULL);
	}
}

/* In a child, see the top: has the kernel write back what was stored through
 * shared mappings. */
static void write_back_pages(struct daemon *d)
{
	const char *path = d->fs->opt.mountpoint;
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		/* Neither /dev/fuse nor the lock on the log. */
		int fd = close_range(STDERR_FILENO + 1, ~0U, 0) == 0
				 ? open(path, O_RDONLY | O_DIRECTORY)
				 : -1;

		_exit(fd >= 0 && syncfs(fd) == 0 ? 0 : 1);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pid < 0 || status != 0)
		report(d, "%s could not be synced: what was stored through mappings may be lost",
		       path);
}

/* While requests are still served; files may be open, and stay open. */
static void save_everything(struct daemon *d)
{
	if (is_mounted(d))
		write_back_pages(d);
	(void)pending_commit_all(d->fs,
				 MOUNT_END_NEAR); /* tried again, and reported, after the loop */
}

/* Until nothing is open for writing, for a while; a second signal ends it. */
static void let_writers_close(struct daemon *d)
{
	const struct timespec pause = {.tv_nsec = WAKE_PAUSE_NS};

	for (long waited = 0; waited < GRACE_NS; waited += WAKE_PAUSE_NS)
		if (!pending_has_writers(d->fs) || atomic_load(&d->loop_ended) ||
		    sigtimedwait(&d->end_signals, NULL, &pause) > 0)
			break;
}

static void *watch(void *arg)
{
	struct daemon *d = arg;
	int signal_number;

	(void)sigwait(&d->end_signals, &signal_number); /* a valid set */
	if (!atomic_load(&d->loop_ended)) {
		let_writers_close(d);
		save_everything(d);
		atomic_store(&d->stopped, !atomic_load(&d->loop_ended));
		stop_loop(d);
	}
	return NULL;
}

static void on_wake(int signal_number)
{
}

/* Before any thread starts: they inherit the mask. */
static void set_signals(struct daemon *d)
{
	struct sigaction wake = {.sa_handler = on_wake}; /* without SA_RESTART */
	sigset_t wake_signals;

	(void)sigemptyset(&d->end_signals);
	(void)sigaddset(&d->end_signals, SIGTERM);
	(void)sigaddset(&d->end_signals, SIGINT);
	(void)sigaddset(&d->end_signals, SIGHUP);
	(void)pthread_sigmask(SIG_BLOCK, &d->end_signals, NULL);
	(void)sigemptyset(&wake_signals);
	(void)sigaddset(&wake_signals, WAKE_SIGNAL);
	(void)pthread_sigmask(SIG_UNBLOCK, &wake_signals, NULL);
	(void)sigaction(WAKE_SIGNAL, &wake, NULL);
}

static int start_threads(struct daemon *d)
{
	int err;

	d->fs->session = d->session;
	err = keeper_start(d->fs, &d->keeper);
	if (!err)
		err = pthread_create(&d->watcher, NULL, watch, d);
	if (err)
		complain("cannot start a thread: %s", strerror(err));
	return err ? -1 : 0;
}

static int loop(struct daemon *d, bool single_thread)
{
	struct fuse_loop_config *config;
	int err;

	if (single_thread)
		return fuse_session_loop(d->session);
	config = fuse_loop_cfg_create();
	if (!config)
		return -ENOMEM;
	fuse_loop_cfg_set_clone_fd(config, 0);
	fuse_loop_cfg_set_idle_threads(config, IDLE_THREADS_MOST);
	err = fuse_session_loop_mt(d->session, config);
	fuse_loop_cfg_destroy(config);
	return err;
}

static void report_uncommitted(void *daemon, const char *path, int error)
{
	report(daemon, "%s was changed and could not be written to the log: %s", path,
	       strerror(error));
}

/* The kernel may have dropped the last RELEASEs of an unmount, and a commit
 * may have failed: what is staged now has its last chance. */
static void commit_rest(struct daemon *d, enum mount_end end)
{
	int error = pending_commit_all(d->fs, end);

	if (!error)
		return;
	report(d, "%s: not everything could be written and synced: %s", d->fs->opt.log_dir,
	       strerror(error));
	pending_each_failed(d->fs, report_uncommitted, d);
}

static void serve(struct daemon *d, bool single_thread)
{
	int err = loop(d, single_thread);
	/* A mount that is still there was cut off, with files open or not. */
	bool cut = atomic_load(&d->stopped) || is_mounted(d);

	atomic_store(&d->loop_ended, true);
	if (err < 0 && err != -ECONNABORTED) /* unmounted while a request was handed over */
		report(d, "the mount on %s broke: %s", d->fs->opt.mountpoint, strerror(-err));
	unmount(d);
	resources_give_up(&d->resources);
	commit_rest(d, cut ? MOUNT_END_CUT : MOUNT_END_CLOSED);
	(void)pthread_kill(d->watcher, SIGTERM); /* ends its wait */
	(void)pthread_join(d->watcher, NULL);
}

static void close_daemon(struct daemon *d)
{
	int err;

	unmount(d);
	keeper_stop(d->keeper);
	if (d->session)
		fuse_session_destroy(d->session);
	err = store_close(d->fs);
	if (err)
		report(d, "closing the log failed: %s", dwal_strerror(err));
}

/* From the lock to its release. The exit status. */
static int run(struct request *request, int ready_fd)
{
	struct daemon d = {.ready_fd = ready_fd, .main_thread = pthread_self(), .failed = true};
	int err = resources_prepare(&d.resources, &request->fs.segment_size);

	if (err)
		complain("cannot get a descriptor: %s", strerror(-err));
	else if (open_store(&d, request) == 0) {
		set_signals(&d);
		if (mount_session(&d, request) == 0 && start_threads(&d) == 0) {
			atomic_store(&d.failed, false);
			if (announce(&d) != 0)
				fuse_session_exit(d.session); /* the loop ends at once */
			serve(&d, request->single_thread);
		}
	}
	close_daemon(&d);
	resources_give_up(&d.resources);
	return atomic_load(&d.failed) ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* In the parent: until the mount answers, or its daemon is dead. */
static int await_daemon(const char *mountpoint, dev_t device_below, pid_t pid, int ready_fd)
{
	struct stat st;
	int status;
	ssize_t got;
	char byte;

	do {
		got = read(ready_fd, &byte, 1);
	} while (got < 0 && errno == EINTR);
	(void)close(ready_fd); /* a pipe */
	if (got == 1) {
		if (stat(mountpoint, &st) == 0 && st.st_dev != device_below)
			return EXIT_SUCCESS;
		complain("the mount on %s ended at once; the system log may tell why", mountpoint);
		return EXIT_FAILURE;
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return EXIT_FAILURE;
	if (WIFSIGNALED(status))
		complain("the daemon died before the mount was there: %s",
			 strsignal(WTERMSIG(status)));
	return EXIT_FAILURE; /* and the daemon has said why */
}

static int run_in_background(struct request *request)
{
	dev_t device_below = device_of(request->fs.mountpoint);
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) != 0 || (pid = fork()) < 0) {
		complain("cannot start a process: %s", strerror(errno));
		return EXIT_FAILURE;
	}
	if (pid > 0) {
		(void)close(fds[1]);
		return await_daemon(request->fs.mountpoint, device_below, pid, fds[0]);
	}
	(void)close(fds[0]);
	(void)setsid();    /* cannot fail in a new process */
	(void)!chdir("/"); /* all paths are absolute; if not, a directory stays busy */
	return run(request, fds[1]);
}

static int perform(struct request *request)
{
	if (request->fake)
		return EXIT_SUCCESS;
	if (request->mount_namespace && mounting_enter(request->mount_namespace) != 0)
		return EXIT_FAILURE;
	if (request->remount)
		return remount(request) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	if (mounting_check(request) != 0)
		return EXIT_FAILURE;
	return request->foreground ? run(request, -1) : run_in_background(request);
}

int main(int argc, char **argv)
{
	struct request request;
	int status = EXIT_FAILURE;

	if (standard_descriptors_hold() != 0)
		return EXIT_FAILURE; /* and nobody to tell */
	fuse_set_log_func(log_with_name);
	(void)signal(SIGPIPE, SIG_IGN); /* a valid signal */
	if (request_parse(&request, argc, argv) != 0) {
	} else if (request.help || request.version) {
		request.help ? print_help() : print_version();
		status = fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	} else {
		status = perform(&request);
	}
	request_release(&request);
	return status;
}
