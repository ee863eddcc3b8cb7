/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The order of what a mount needs, and of its end. Must not know what a request
 * means.
 *
 * Six kinds of threads: the main one, which waits for libfuse's loop; the
 * loop's workers; the watcher, the only one that takes signals; the keeper; the
 * compactor; the scrubber. What none of them may do is in session.h.
 */
#include "mount/daemon.h"

#include <errno.h>
#include <fuse_lowlevel.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "complain.h"
#include "file/damage.h"
#include "file/pending.h"
#include "mount/background.h"
#include "mount/compactor.h"
#include "mount/confine.h"
#include "mount/keeper.h"
#include "mount/loop.h"
#include "mount/messages.h"
#include "mount/resources.h"
#include "mount/scrubber.h"
#include "mount/session.h"
#include "mount/store.h"
#include "mount/watcher.h"

struct daemon {
	struct fs *fs;
	struct session session;
	struct keeper *keeper;
	struct compactor *compactor; /* NULL on a read-only mount, as the next */
	struct scrubber *scrubber;
	struct watcher watcher;
	struct resources resources;
	struct reports reports;
};

static void tell_passed(struct fs *fs)
{
	char line[1024];

	if (!damage_passed(fs, line, sizeof(line)))
		return;
	complain("%s", line);
	syslog(LOG_DAEMON | LOG_WARNING, "%s", line);
}

static void tell_recovery(struct fs *fs)
{
	const struct dwal_report *found = dwal_kv_report(fs->kv);
	const char *refusal = dwal_kv_refusal(fs->kv);
	char text[512];

	if (refusal && !fs->opt.read_only)
		complain("warning: %s", refusal);
	tell_passed(fs);
	if (!found->damage_count || !(found->made_side_file || found->intact.records))
		return; /* a torn tail that was left alone may be a writer at work */
	dwal_damage_text(&found->damage[found->damage_count - 1], found->made_side_file, text,
			 sizeof(text));
	complain("%s: %s", fs->opt.log_dir, text);
	if (found->intact.records)
		syslog(LOG_DAEMON | LOG_WARNING, "%s: %s", fs->opt.log_dir, text);
}

static void tell_degraded(struct fs *fs)
{
	const struct dwal_report *found = dwal_kv_report(fs->kv);
	char text[512];

	if (found->lost_ranges)
		(void)snprintf(
			text, sizeof(text),
			"degraded: %" PRIu64 " bytes in %" PRIu64
			" places of the log are lost, an older or no value may show for what "
			"they held; what is intact is shown; .log/recovery lists them, "
			"'datawal salvage DIR OUT' copies what is intact",
			found->lost_bytes, found->lost_ranges);
	else
		(void)snprintf(text, sizeof(text), "not damaged: '-o degraded' is not needed");
	complain("%s: %s", fs->opt.log_dir, text);
	if (found->lost_ranges)
		syslog(LOG_DAEMON | LOG_WARNING, "%s: %s", fs->opt.log_dir, text);
}

static void tell_line(void *reports, const char *line)
{
	tell(reports, line);
}

static int open_store(struct daemon *d, struct request *request)
{
	struct dwal_error error = {.code = 0};
	int err = store_open(&request->fs, loop_step_aside, &d->fs, &error);

	if (err) {
		complain("%s", *error.message ? error.message : dwal_strerror(err));
		return -1;
	}
	d->fs->tell = tell_line;
	d->fs->tell_ctx = &d->reports;
	(d->fs->opt.degraded ? tell_degraded : tell_recovery)(d->fs);
	return 0;
}

static int start_threads(struct daemon *d)
{
	int err = keeper_start(d->fs, &d->keeper);

	if (!err && !d->fs->opt.read_only)
		err = compactor_start(d->fs, &d->compactor);
	if (!err && !d->fs->opt.read_only)
		err = scrubber_start(d->fs, &d->scrubber);
	if (!err)
		err = watcher_start(&d->watcher);
	if (err)
		complain("cannot start a thread: %s", strerror(err));
	return err ? -1 : 0;
}

/* All that can be refused. 0, or -1 when one line on stderr has said why. */
static int start(struct daemon *d, struct request *request)
{
	int err = resources_prepare(&d->resources, &request->fs.segment_size);

	if (err) {
		complain("cannot get a descriptor: %s", strerror(-err));
		return -1;
	}
	err = confine_process(request->auto_unmount);
	if (err) {
		complain("cannot give up capabilities: %s", strerror(-err));
		return -1;
	}
	if (open_store(d, request) != 0)
		return -1;
	watcher_init(&d->watcher, d->fs, &d->session, &d->reports);
	return session_mount(&d->session, d->fs, request) == 0 ? start_threads(d) : -1;
}

static void announce(struct daemon *d, int ready_fd)
{
	messages_to_syslog(&d->reports);
	if (background_announce(ready_fd) != 0)
		session_end_loop(&d->session); /* it ends at once */
}

static void report_uncommitted(void *daemon, const char *path, int error)
{
	struct daemon *d = daemon;

	report(&d->reports, "%s was changed and could not be written to the log: %s", path,
	       strerror(error));
}

/* The kernel may have dropped the last RELEASEs of an unmount, and a commit
 * may have failed: what is staged now has its last chance. */
static void commit_rest(struct daemon *d, enum mount_end end)
{
	int error = pending_commit_all(d->fs, end);

	if (!error)
		return;
	report(&d->reports, "%s: not everything could be written and synced: %s",
	       d->fs->opt.log_dir, strerror(error));
	pending_each_failed(d->fs, report_uncommitted, d);
}

static void unmount(struct daemon *d)
{
	session_unmount(&d->session, d->resources.reserve[1]);
}

/* What nobody waits for. */
static void end_background(struct daemon *d)
{
	compactor_stop(d->compactor);
	d->compactor = NULL;
	scrubber_stop(d->scrubber);
	d->scrubber = NULL;
}

static void serve(struct daemon *d, bool single_thread)
{
	int err = session_loop(&d->session, single_thread);
	/* A mount that is still there was cut off, with files open or not. */
	bool cut = watcher_has_stopped(&d->watcher) || session_is_mounted(&d->session);

	watcher_loop_ended(&d->watcher);
	if (err < 0 && err != -ECONNABORTED) /* unmounted while a request was handed over */
		report(&d->reports, "the mount on %s broke: %s", d->fs->opt.mountpoint,
		       strerror(-err));
	end_background(d);
	unmount(d);
	resources_give_up(&d->resources);
	commit_rest(d, cut ? MOUNT_END_CUT : MOUNT_END_CLOSED);
	watcher_join(&d->watcher);
}

/* Of what start() got, however far it came. */
static void end(struct daemon *d)
{
	int err;

	unmount(d);
	end_background(d);
	keeper_stop(d->keeper);
	session_release(&d->session);
	err = store_close(d->fs);
	if (err)
		report(&d->reports, "closing the log failed: %s", dwal_strerror(err));
	resources_give_up(&d->resources);
}

int daemon_run(struct request *request, int ready_fd)
{
	struct daemon d = {.fs = NULL};
	bool started = start(&d, request) == 0;

	if (started && ready_fd >= 0)
		announce(&d, ready_fd);
	if (started)
		serve(&d, request->single_thread);
	end(&d);
	return started && !atomic_load(&d.reports.failed) ? EXIT_SUCCESS : EXIT_FAILURE;
}
