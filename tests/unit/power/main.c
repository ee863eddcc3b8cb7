/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * power [--run NAME] [--seed N] [--rounds N] [--depth N] [--most N] [--at STEPS]
 *       [--faults] [--indexed] [--fail CALL --fault WAY]
 *
 * Runs the simulation for as many seeds, of one run or all, and says how many
 * states there were. --depth: so many crashes in a row are enumerated; --most: so
 * many states of one power cut. --faults: each call fails, in each way. --indexed:
 * with index files. --at, --fail and --fault: only what a failure has named.
 */
#include "world.h"
#include "unit.h"

#include <getopt.h>
#include <signal.h>

static void run_one(struct campaign *campaign, bool faults)
{
	campaign->points = campaign->states = campaign->checked = campaign->sampled = 0;
	if (faults || campaign->fault)
		world_faults(campaign);
	else
		world_campaign(campaign);
	printf("%s, seed %llu: %llu changes, %llu states, %llu of them different%s\n",
	       campaign->run->name, (unsigned long long)campaign->seed,
	       (unsigned long long)campaign->points, (unsigned long long)campaign->states,
	       (unsigned long long)campaign->checked, campaign->sampled ? ", sampled" : "");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"run", required_argument, NULL, 'r'},
		{"seed", required_argument, NULL, 's'},
		{"rounds", required_argument, NULL, 'n'},
		{"depth", required_argument, NULL, 'd'},
		{"most", required_argument, NULL, 'm'},
		{"at", required_argument, NULL, 'a'},
		{"faults", no_argument, NULL, 'f'},
		{"indexed", no_argument, NULL, 'i'},
		{"fail", required_argument, NULL, 'c'},
		{"fault", required_argument, NULL, 'w'},
		{NULL, 0, NULL, 0},
	};
	struct campaign campaign = {.seed = 1, .depth = 2, .most = {64, 64, 64, 64}};
	struct unit_dir dir = unit_dir_make();
	const char *only = NULL;
	uint64_t rounds = 1;
	bool faults = false;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		uint64_t value = optarg ? strtoull(optarg, NULL, 10) : 0;

		if (option == 'r')
			only = optarg;
		else if (option == 's')
			campaign.seed = value;
		else if (option == 'n')
			rounds = value;
		else if (option == 'd')
			campaign.depth = (unsigned)value;
		else if (option == 'm')
			campaign.most[0] = campaign.most[1] = campaign.most[2] = value;
		else if (option == 'i')
			campaign.indexed = true;
		else if (option == 'f')
			faults = true;
		else if (option == 'c')
			campaign.fail_at = value;
		else if (option == 'w')
			campaign.fault = (unsigned)value;
		else if (option == 'a')
			campaign.replay = optarg;
		else
			return 2;
	}
	campaign.root = dir.path;
	signal(SIGABRT, world_abort);
	for (; rounds; rounds--, campaign.seed++)
		for (size_t i = 0; i < world_run_count; i++) {
			if (only && strcmp(only, world_runs[i].name) != 0)
				continue;
			campaign.run = &world_runs[i];
			run_one(&campaign, faults);
		}
	unit_dir_remove(&dir);
	return 0;
}
