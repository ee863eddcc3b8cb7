/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * bench_store ENGINE OPERATION DIR N SIZE [THREADS]: does one thing in a store of N
 * records with values of SIZE bytes, and prints the nanoseconds that each took; of
 * several threads, those of the clock for each record of all of them.
 *
 * bench_store list: each engine that was found when this was built, and its operations.
 *
 *   append, appends   records without keys, one or 100 a call, into a fresh log
 *   put, batch, sync  keys, one or 100 a call, or each durable before the next
 *   get, delete       each key once; the next was put far from the last
 *   scan              all records as they lie there
 *   walk              each key with its value, in the order of keys where there is one
 *   open              opening for writing
 *   compact           in place, of a store of which each key was put twice
 *   copy, export      into a fresh one, or as text, at DIR.copy, DIR.export
 */
#include <datawal.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "engine.h"

#define BATCH        100
#define THREADS_MOST 64

/* A prime, so that every key comes once; modulo no power of ten near 0, or what comes
 * next would lie beside what came before. */
#define STRIDE UINT64_C(2654435761)

static const struct engine *const engines[] = {
	&engine_datawal, &engine_floor,
#ifdef HAVE_LMDB
	&engine_lmdb,
#endif
#ifdef HAVE_LEVELDB
	&engine_leveldb,
#endif
#ifdef HAVE_ROCKSDB
	&engine_rocksdb,
#endif
#ifdef HAVE_TKRZW
	&engine_tkrzw,
#endif
#ifdef HAVE_SQLITE
	&engine_sqlite,
#endif
};

#define N_ENGINES (sizeof(engines) / sizeof(*engines))

/* What one thread does: of n records those from first to end. */
struct job {
	const struct engine *engine;
	void *db;
	const char *dir;
	uint64_t n, first, end;
	struct value value;
	void *buffer;
};

static struct key key_of(uint64_t number)
{
	struct key key = {.number = number};
	uint64_t state = number;

	for (size_t i = 0; i < KEY_SIZE; i += sizeof(state)) { /* splitmix64 */
		uint64_t z = state += 0x9e3779b97f4a7c15;

		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
		z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
		z ^= z >> 31;
		memcpy(key.bytes + i, &z, sizeof(z));
	}
	return key;
}

static struct key scattered(const struct job *job, uint64_t i)
{
	return key_of(i * STRIDE % job->n);
}

static void do_append(struct job *job)
{
	for (uint64_t i = job->first; i < job->end; i++)
		job->engine->append(job->db, job->value);
}

static size_t next_batch(const struct job *job, uint64_t i)
{
	return job->end - i < BATCH ? (size_t)(job->end - i) : BATCH;
}

static void do_appends(struct job *job)
{
	for (uint64_t i = job->first; i < job->end; i += BATCH)
		job->engine->appends(job->db, job->value, next_batch(job, i));
}

static void do_put(struct job *job)
{
	for (uint64_t i = job->first; i < job->end; i++) {
		struct key key = key_of(i);

		job->engine->put(job->db, &key, job->value);
	}
}

static void do_batch(struct job *job)
{
	struct key keys[BATCH];

	for (uint64_t i = job->first; i < job->end; i += BATCH) {
		size_t n = next_batch(job, i);

		for (size_t k = 0; k < n; k++)
			keys[k] = key_of(i + k);
		job->engine->batch(job->db, keys, n, job->value);
	}
}

static void do_get(struct job *job)
{
	for (uint64_t i = job->first; i < job->end; i++) {
		struct key key = scattered(job, i);

		if (job->engine->get(job->db, &key, job->buffer, job->value.size) !=
		    job->value.size)
			fail("get", "another size");
	}
}

static void do_delete(struct job *job)
{
	for (uint64_t i = job->first; i < job->end; i++) {
		struct key key = scattered(job, i);

		job->engine->remove(job->db, &key);
	}
}

static void do_scan(struct job *job)
{
	job->engine->scan(job->dir);
}

static void do_walk(struct job *job)
{
	if (job->engine->walk(job->db) != job->n)
		fail("walk", "another number of keys");
}

static void do_compact(struct job *job)
{
	job->engine->compact(job->db);
}

static void do_to(const struct job *job, void (*make)(void *, const char *), const char *suffix)
{
	char *to;

	if (asprintf(&to, "%s%s", job->dir, suffix) < 0)
		fail("memory", "none");
	make(job->db, to);
	free(to);
}

static void do_copy(struct job *job)
{
	do_to(job, job->engine->copy, ".copy");
}

static void do_export(struct job *job)
{
	do_to(job, job->engine->export, ".export");
}

static void do_open(struct job *job)
{
	job->db = job->engine->open(job->dir, PLAIN);
}

static const struct operation {
	const char *name;
	void (*run)(struct job *job);
	enum how how;
	bool threads;  /* as many as one wants */
	bool unopened; /* opens what it needs */
} operations[] = {
	{.name = "append", .run = do_append, .how = LOG, .threads = true},
	{.name = "appends", .run = do_appends, .how = LOG},
	{.name = "put", .run = do_put, .threads = true},
	{.name = "batch", .run = do_batch},
	{.name = "get", .run = do_get, .threads = true},
	{.name = "delete", .run = do_delete},
	{.name = "scan", .run = do_scan, .unopened = true},
	{.name = "walk", .run = do_walk},
	{.name = "open", .run = do_open, .unopened = true},
	{.name = "compact", .run = do_compact},
	{.name = "copy", .run = do_copy},
	{.name = "export", .run = do_export},
	{.name = "sync", .run = do_put, .how = SYNCED, .threads = true},
};

/* ---- threads that begin together ---- */

struct crew {
	const struct operation *operation;
	pthread_barrier_t begun;
	unsigned n;
	struct job jobs[THREADS_MOST];
	pthread_t threads[THREADS_MOST];
};

struct member {
	struct crew *crew;
	struct job *job;
};

static void *work(void *arg)
{
	struct member member = *(struct member *)arg;

	free(arg);
	(void)pthread_barrier_wait(&member.crew->begun);
	member.crew->operation->run(member.job);
	return NULL;
}

static int64_t run_crew(struct crew *crew)
{
	int64_t start;

	(void)pthread_barrier_init(&crew->begun, NULL, crew->n + 1);
	for (unsigned i = 0; i < crew->n; i++) {
		struct member *member = malloc(sizeof(*member));

		if (!member)
			fail("memory", "none");
		*member = (struct member){crew, &crew->jobs[i]};
		if (pthread_create(&crew->threads[i], NULL, work, member))
			fail("threads", "too many");
	}
	start = now_ns(); /* none has begun before this one waits too */
	(void)pthread_barrier_wait(&crew->begun);
	for (unsigned i = 0; i < crew->n; i++)
		(void)pthread_join(crew->threads[i], NULL);
	return now_ns() - start;
}

/* One thread is this one, so that it is no later than its clock. */
static int64_t run_alone(struct crew *crew)
{
	int64_t start = now_ns();

	crew->operation->run(&crew->jobs[0]);
	return now_ns() - start;
}

static void share_work(struct crew *crew, const struct job *all)
{
	size_t room = dwal_frame_size(KEY_SIZE, all->value.size);
	void *db = NULL;

	for (unsigned i = 0; i < crew->n; i++) {
		struct job *job = &crew->jobs[i];

		*job = *all;
		job->first = all->n * i / crew->n;
		job->end = all->n * (i + 1) / crew->n;
		job->buffer = bytes_of(room);
		if (!crew->operation->unopened && (!db || all->engine->per_thread))
			db = all->engine->open(all->dir, crew->operation->how);
		job->db = db;
	}
}

static void end_work(struct crew *crew)
{
	for (unsigned i = 0; i < crew->n; i++) {
		const struct job *job = &crew->jobs[i];

		if (job->db && (i == 0 || job->engine->per_thread))
			job->engine->close(job->db);
		free(job->buffer);
	}
}

/* Or the next measurement pays for what this one has left to be written. */
static void settle(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY);

	if (fd < 0 || syncfs(fd) != 0 || close(fd) != 0)
		fail(dir, "cannot be synced");
}

/* ---- what is asked for ---- */

static const struct engine *engine_named(const char *name)
{
	for (size_t i = 0; i < N_ENGINES; i++)
		if (strcmp(engines[i]->name, name) == 0)
			return engines[i];
	fail(name, "no such engine in this build");
}

static const struct operation *operation_named(const char *name)
{
	for (size_t i = 0; i < sizeof(operations) / sizeof(*operations); i++)
		if (strcmp(operations[i].name, name) == 0)
			return &operations[i];
	fail(name, "no such operation");
}

static void list(void)
{
	for (size_t i = 0; i < N_ENGINES; i++)
		printf("%s %s\n", engines[i]->name, engines[i]->offers);
}

static bool offers(const struct engine *engine, const char *word)
{
	const char *at = engine->offers;
	size_t len = strlen(word);

	for (; at; at = strchr(at, ' '), at += at ? 1 : 0)
		if (strncmp(at, word, len) == 0 && (at[len] == ' ' || !at[len]))
			return true;
	return false;
}

static void measure(const struct operation *operation, const struct job *all, unsigned threads)
{
	struct crew *crew = calloc(1, sizeof(*crew));
	int64_t ns;

	if (!crew)
		fail("memory", "none");
	crew->operation = operation;
	crew->n = threads;
	share_work(crew, all);
	ns = threads == 1 ? run_alone(crew) : run_crew(crew);
	end_work(crew);
	settle(all->dir);
	printf("%.2f\n", (double)ns / (double)all->n);
	free(crew);
}

int main(int argc, char **argv)
{
	struct job all = {0};
	const struct operation *operation;
	uint64_t threads;

	if (argc == 2 && strcmp(argv[1], "list") == 0)
		return list(), 0;
	if (argc != 6 && argc != 7)
		fail("usage", "bench_store ENGINE OPERATION DIR N SIZE [THREADS]");
	all.engine = engine_named(argv[1]);
	operation = operation_named(argv[2]);
	all.dir = argv[3];
	all.n = number_of(argv[4]);
	all.value.size = (size_t)number_of(argv[5]);
	threads = argc == 7 ? number_of(argv[6]) : 1;
	if (!offers(all.engine, operation->name))
		fail(argv[1], "does not offer that");
	if (all.n == 0 || all.n % STRIDE == 0 || all.value.size > DWAL_MAX_PAYLOAD)
		fail("usage", "N and SIZE must be within their limits");
	if (threads == 0 || threads > (operation->threads ? THREADS_MOST : 1))
		fail(argv[2], "not with so many threads");
	/* with room for the floor's frame behind it */
	all.value.data = bytes_of(dwal_frame_size(KEY_SIZE, all.value.size));
	measure(operation, &all, (unsigned)threads);
	return 0;
}
