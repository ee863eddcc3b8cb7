/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * datawalfs: what the command line asks for, done here or in the background.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "complain.h"
#include "descriptors.h"
#include "mount/background.h"
#include "mount/confine.h"
#include "mount/daemon.h"
#include "mount/messages.h"
#include "mount/mounting.h"
#include "mount/options.h"
#include "mount/remount.h"

static int run_in_background(struct request *request)
{
	struct background background;
	int err = background_fork(&background, request->fs.mountpoint);

	if (err) {
		complain("cannot start a process: %s", strerror(-err));
		return EXIT_FAILURE;
	}
	if (!background.daemon)
		return daemon_run(request, background.ready_fd);
	return background_await(&background) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
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
	return request->foreground ? daemon_run(request, -1) : run_in_background(request);
}

int main(int argc, char **argv)
{
	struct request request;
	int status = EXIT_FAILURE;

	confine_environment(argc, argv);
	if (standard_descriptors_hold() != 0)
		return EXIT_FAILURE; /* and nobody to tell */
	complain_as("datawalfs");
	messages_of_libfuse_named();
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
