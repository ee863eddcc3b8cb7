/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Of several threads one, the leader, takes requests, and serves them itself: so
 * one program that waits for each answer wakes nobody but itself, and the leader
 * finds its next request without a sleep (spin.h). The followers wait until the
 * role is free (Leader/Followers: Schmidt et al., Pattern-Oriented Software
 * Architecture, volume 2). A leader that serves one request for long loses it:
 * by stepping aside, or to the main thread, which looks at it each millisecond.
 *
 * The leader asks for a request before it waits for one: where its client got
 * its CPU with the last answer, the next is there, and nobody sleeps (on one CPU
 * reads were 1.09 times as fast, changes 1.02 to 1.06). Where others want the
 * CPUs, all threads waiting in read(2) together were no faster than one leader.
 */
#include "mount/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "clock.h"
#include "mount/spin.h"

#define WORKERS_MOST 10 /* as in libfuse's loop */
#define TICK_NS      1000000
#define QUIET_TICKS  10 /* without a request: the main thread sleeps */

struct worker {
	struct loop *loop;
	unsigned token; /* even, and not NOBODY */
	pthread_t thread;
	struct fuse_buf request;
};

#define NOBODY 0u
#define SERVES 1u

struct loop {
	struct fuse_session *session;
	struct spin spin;     /* the leader's */
	atomic_uint leader;   /* its token, with SERVES while it serves; or NOBODY */
	atomic_uint served;   /* so many requests */
	atomic_bool overseen; /* the main thread does not sleep, or is being woken */
	atomic_int error;
	sem_t wake; /* the main thread */

	pthread_mutex_t lock; /* of the rest */
	pthread_cond_t change;
	unsigned idle; /* of the workers, waiting for a change */
	unsigned count;
	bool ended;
	struct worker workers[WORKERS_MOST];
};

static _Thread_local struct worker *self;

static void *work(void *worker);

/* As many as there can be are enough. Wants the lock. 0 or a positive errno. */
static int start_worker(struct loop *loop)
{
	struct worker *worker = &loop->workers[loop->count];
	int r;

	if (loop->ended || loop->count == WORKERS_MOST)
		return 0;
	*worker = (struct worker){.loop = loop, .token = (loop->count + 1) << 1};
	r = pthread_create(&worker->thread, NULL, work, worker);
	loop->count += r == 0;
	return r;
}

/* The role is free. */
static void wake_follower(struct loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	if (loop->idle)
		pthread_cond_signal(&loop->change);
	else
		(void)start_worker(loop); /* else who comes back takes it */
	pthread_mutex_unlock(&loop->lock);
}

/* Whoever has it in this state. */
static void take_role_from(struct loop *loop, unsigned leader)
{
	if (atomic_compare_exchange_strong(&loop->leader, &leader, NOBODY))
		wake_follower(loop);
}

void loop_step_aside(void)
{
	if (self)
		take_role_from(self->loop, self->token | SERVES);
}

/* ---- taking requests ---- */

/* To be ended in its wait, and nowhere else. */
static void sleep_for_request(struct loop *loop)
{
	struct pollfd wanted = {.fd = fuse_session_fd(loop->session), .events = POLLIN};

	(void)pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
	(void)poll(&wanted, 1, -1);
	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
}

/* Its size, 0 or -errno; -EAGAIN: there is none now. */
static int take(struct worker *worker)
{
	return fuse_session_receive_buf(worker->loop->session, &worker->request);
}

static int look_for_request(struct worker *worker)
{
	int r = take(worker);
	int64_t since;

	if (r != -EAGAIN)
		return r;
	since = monotonic_ns();
	while (r == -EAGAIN && spin_again(&worker->loop->spin, since))
		r = take(worker);
	return r;
}

static int receive(struct worker *worker)
{
	int r = look_for_request(worker);
	int64_t since;

	if (r != -EAGAIN)
		return r;
	since = monotonic_ns();
	sleep_for_request(worker->loop);
	spin_slept(&worker->loop->spin, since);
	return take(worker);
}

/* Is there one? When none will come the session has exited. */
static bool is_request(struct loop *loop, int r)
{
	if (r > 0)
		return true;
	if (r == -EAGAIN || r == -EINTR)
		return false;
	if (r < 0)
		atomic_store(&loop->error, r);
	fuse_session_exit(loop->session);
	(void)sem_post(&loop->wake);
	return false;
}

/* No request is given up for one. libfuse would keep one that comes when its request
 * has been served: until the next request, or for good. */
static bool is_interrupt(const struct fuse_buf *request)
{
	const struct fuse_in_header *header = request->mem;

	return header->opcode == FUSE_INTERRUPT;
}

static void process(struct worker *worker)
{
	if (!is_interrupt(&worker->request))
		fuse_session_process_buf(worker->loop->session, &worker->request);
}

/* ---- who serves them ---- */

/* Does it still lead then? */
static bool serve(struct worker *worker)
{
	struct loop *loop = worker->loop;
	unsigned serves = worker->token | SERVES;

	atomic_store(&loop->leader, serves);
	if (!atomic_load(&loop->overseen) && !atomic_exchange(&loop->overseen, true))
		(void)sem_post(&loop->wake);
	process(worker);
	atomic_fetch_add(&loop->served, 1);
	return atomic_compare_exchange_strong(&loop->leader, &serves, worker->token);
}

static void lead(struct worker *worker)
{
	struct loop *loop = worker->loop;
	bool leads = true;

	while (leads && !fuse_session_exited(loop->session))
		if (is_request(loop, receive(worker)))
			leads = serve(worker);
}

/* Does it lead now? Otherwise there is an end. */
static bool follow(struct worker *worker)
{
	struct loop *loop = worker->loop;
	bool leads = false;

	pthread_mutex_lock(&loop->lock);
	while (!loop->ended) {
		unsigned nobody = NOBODY;

		leads = atomic_compare_exchange_strong(&loop->leader, &nobody, worker->token);
		if (leads)
			break;
		loop->idle++;
		pthread_cond_wait(&loop->change, &loop->lock);
		loop->idle--;
	}
	pthread_mutex_unlock(&loop->lock);
	return leads;
}

/* It is for the main thread. */
static void block_wake_signal(void)
{
	sigset_t wake;

	(void)sigemptyset(&wake);
	(void)sigaddset(&wake, LOOP_WAKE_SIGNAL);
	(void)pthread_sigmask(SIG_BLOCK, &wake, NULL);
}

static void *work(void *arg)
{
	struct worker *worker = arg;
	struct loop *loop = worker->loop;

	block_wake_signal();
	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	(void)pthread_setname_np(pthread_self(), "worker"); /* for who looks at threads */
	self = worker;
	while (!fuse_session_exited(loop->session))
		if (follow(worker))
			lead(worker);
	return NULL;
}

/* Once a tick, as long as requests come. */
static void oversee(struct loop *loop)
{
	const struct timespec tick = {.tv_nsec = TICK_NS};
	unsigned quiet = 0;

	while (!fuse_session_exited(loop->session)) {
		unsigned leader = atomic_load(&loop->leader), served = atomic_load(&loop->served);

		(void)nanosleep(&tick, NULL);
		if (served != atomic_load(&loop->served))
			quiet = 0;
		else if (leader & SERVES)
			take_role_from(loop, leader);
		else
			quiet++;
		if (quiet < QUIET_TICKS)
			continue;
		quiet = 0;
		atomic_store(&loop->overseen, false);
		if (!(atomic_load(&loop->leader) & SERVES))
			(void)sem_wait(&loop->wake);
	}
}

static void end_workers(struct loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	loop->ended = true;
	pthread_cond_broadcast(&loop->change);
	pthread_mutex_unlock(&loop->lock);
	for (unsigned i = 0; i < loop->count; i++)
		(void)pthread_cancel(loop->workers[i].thread);
	for (unsigned i = 0; i < loop->count; i++) {
		(void)pthread_join(loop->workers[i].thread, NULL);
		free(loop->workers[i].request.mem);
	}
}

/* Who asks for a request gets an answer at once. 0 or -errno. */
static int ask_without_waiting(struct fuse_session *session)
{
	int fd = fuse_session_fd(session), flags = fcntl(fd, F_GETFL);

	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) ? -errno : 0;
}

int loop_run(struct fuse_session *session)
{
	struct loop *loop;
	int r = ask_without_waiting(session);

	if (r)
		return r;
	loop = calloc(1, sizeof(*loop));
	if (!loop)
		return -ENOMEM;
	loop->session = session;
	pthread_mutex_init(&loop->lock, NULL);
	pthread_cond_init(&loop->change, NULL);
	(void)sem_init(&loop->wake, 0, 0);
	pthread_mutex_lock(&loop->lock);
	r = -start_worker(loop);
	pthread_mutex_unlock(&loop->lock);
	if (!r) {
		oversee(loop);
		end_workers(loop);
		r = atomic_load(&loop->error);
	}
	(void)sem_destroy(&loop->wake);
	pthread_cond_destroy(&loop->change);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
	return r;
}
