# SPDX-License-Identifier: MIT OR Apache-2.0
"""The store's clauses on keys, values and derived files, each with the parts of the unit programs
that hold it."""
import subprocess

import pytest

import paths
import suspicion

pytestmark = pytest.mark.sanitize



def holds(clause, program, *names):
    """Parameters: the clause's mark, a unit program, and the tests in it to run."""
    return [pytest.param(program, name, marks=clause, id=name) for name in names]


CASES = [
    *holds(pytest.mark.clause("C27"), "test_kv",
           "store_equals_a_naive_fold_also_when_opened_again", "batch_is_applied_in_order",
           "threads_see_whole_values_and_leave_what_a_new_open_finds"),
    *holds(pytest.mark.clause("C28"), "test_kv",
           "failed_put_leaves_the_old_value_and_no_new_key"),
    *holds(pytest.mark.clause("C16b"), "test_kv", "a_batch_cut_short_changes_no_key"),
    *holds(pytest.mark.clause("C29"), "test_value",
           "get_of_a_damaged_frame_is_an_error_that_says_where",
           "valid_frame_of_another_key_or_type_is_refused"),
    *holds(pytest.mark.clause("C30"), "test_value",
           "value_stays_readable_after_overwrite_delete_and_rotate",
           "value_at_a_place_is_the_put_that_was_written_there",
           "value_at_a_place_that_is_not_its_own_is_refused"),
    *holds(pytest.mark.clause("C30a"), "test_places",
           "a_rewritten_segment_is_read_by_key_or_not_at_all",
           "a_segment_that_is_gone_is_an_error_and_no_missing_key", "a_reading_store_says_so_too"),
    *holds(pytest.mark.clause("C31"), "test_kv",
           "deleting_an_absent_key_writes_a_tombstone", "unusual_records_are_accepted"),
    *holds(pytest.mark.clause("C31"), "test_value", "empty_key_and_empty_value_are_like_others"),
    *holds(pytest.mark.clause("C39", "C39a"), "test_degraded",
           "whatever_byte_is_changed_what_lies_elsewhere_is_there",
           "whatever_is_written_over_it_nothing_is_made_up"),
    *holds(pytest.mark.clause("C39a"), "test_degraded", "what_is_lost_is_told_with_its_key"),
    *holds(pytest.mark.clause("C40"), "test_salvage",
           "whatever_byte_is_changed_all_else_is_salvaged",
           "a_whole_log_is_copied_whole_and_has_no_horizon",
           "a_salvage_that_fails_at_any_step_leaves_nothing_or_all",
           "what_the_disk_cannot_read_is_lost_and_nothing_else"),
    *holds(pytest.mark.clause("C33a"), "test_history",
           "a_history_has_every_put_and_delete_of_its_key_and_nothing_else",
           "as_of_a_txid_the_last_version_at_or_below_it_counts",
           "a_record_belongs_to_the_operation_whose_txid_it_bears",
           "a_line_that_is_too_long_is_as_if_it_were_not_there",
           "a_history_of_no_key_has_no_versions"),
    *holds(pytest.mark.clause("C33b"), "test_history",
           "a_state_that_a_horizon_covers_is_refused", "a_state_that_is_not_there_yet_is_refused"),
    *holds(pytest.mark.clause("C33c"), "test_keep",
           "of_an_age_stays_what_was_the_state_then_and_all_since",
           "records_without_a_time_are_as_young_as_they_can_be",
           "of_a_size_stays_what_was_superseded_last", "many_are_counted_in_steps", "attributes_and_directories_count",
           "what_lies_in_a_damaged_segment_is_passed_over", "whoever_is_told_can_end_it"),
    *holds(pytest.mark.clause("C32"), "test_value", "cursor_shows_the_moment_of_the_call",
           "cursor_gives_keys_in_byte_order"),
    *holds(pytest.mark.clause("C32a"), "test_keydir",
           "keys_chosen_to_collide_do_not_collide_under_another_seed"),
    *holds(pytest.mark.clause("C32a"), "test_kv", "each_open_takes_a_seed_of_its_own"),
    *holds(pytest.mark.clause("C32b"), "test_stats",
           "stats_count_what_is_live_in_each_segment", "counters_equal_a_walk_after_any_changes"),
    *holds(pytest.mark.clause("C32b"), "test_keydir",
           "usage_is_counted_for_segments_in_any_order"),
    *holds(pytest.mark.clause("C32c"), "test_keydir_model", "a_key_takes_64_bytes_at_most",
           "any_changes_agree_with_an_array", "keys_that_share_a_hash_agree_with_an_array",
           "without_memory_nothing_changes", "memory_does_not_grow_with_changes"),
    *holds(pytest.mark.clause("C32c"), "test_slots",
           "each_removal_in_each_phase_of_growth_leaves_the_others",
           "random_changes_agree_with_an_array"),
    *holds(pytest.mark.clause("C33"), "test_kv",
           "reading_store_takes_no_lock_and_changes_nothing",
           "reading_a_damaged_log_is_an_error_that_says_where"),
    *holds(pytest.mark.clause("C37"), "test_reclaim",
           "a_dry_run_says_the_same_and_changes_nothing",
           "it_stops_when_told_to_and_there_is_one_at_a_time",
           "it_can_be_stopped_while_it_writes_a_large_segment", "reading_and_writing_go_on"),
    *holds(pytest.mark.clause("C37a"), "test_reclaim",
           "what_is_superseded_goes_and_what_is_live_stays",
           "with_everything_deleted_next_to_nothing_is_left"),
    *holds(pytest.mark.clause("C37b"), "test_reclaim_past", "every_state_is_right_or_refused"),
    *holds(pytest.mark.clause("C37b"), "test_reclaim", "no_horizon_passes_a_tag"),
    *holds(pytest.mark.clause("C37c"), "test_reclaim_past",
           "whatever_call_fails_every_state_is_right_or_refused",
           "wherever_it_dies_every_state_is_right_or_refused"),
    *holds(pytest.mark.clause("C37"), "test_reclaim_order", "a_dry_run_seals_nothing",
           "a_segment_of_which_nothing_is_left_keeps_its_name", "keys_are_read_while_they_move",
           "a_segment_that_somebody_has_replaced_is_left_alone"),
    *holds(pytest.mark.clause("C37a"), "test_reclaim_order",
           "a_header_stays_with_its_lines_and_announces_nothing",
           "a_rewritten_segment_has_the_time_of_the_old_one",
           "a_later_value_does_not_make_a_tombstone_superfluous"),
    *holds(pytest.mark.clause("C37c"), "test_reclaim_order",
           "what_superseded_a_record_is_durable_before_it_goes",
           "a_name_that_cannot_be_synced_poisons"),
    *holds(pytest.mark.clause("C37d"), "test_reclaim_order",
           "what_is_held_open_stays_readable_among_many_segments"),
    *holds(pytest.mark.clause("C37d"), "test_reclaim", "what_is_held_open_stays_readable"),
    *holds(pytest.mark.clause("C37e"), "test_reclaim",
           "a_segment_that_is_damaged_is_left_alone_and_proves_nothing"),
    *holds(pytest.mark.clause("C34"), "test_compact",
           "target_holds_live_keys_in_byte_order_and_nothing_else",
           "many_and_large_values_come_through_in_one_segment",
           "target_that_is_something_else_is_refused_and_left_alone",
           "what_a_crash_left_is_deleted_and_not_continued",
           "compaction_that_fails_at_any_step_leaves_nothing_or_all",
           "target_gets_its_name_once_all_in_it_is_durable"),
    *holds(pytest.mark.clause("C34a"), "test_compact_kept",
           "what_the_caller_keeps_stands_behind_its_put_in_one_operation",
           "caller_who_does_not_go_on_has_nothing_made", "failure_at_any_step_leaves_nothing_or_all"),
    *holds(pytest.mark.clause("C35"), "test_compact",
           "export_is_exact_to_a_file_and_to_a_descriptor",
           "export_of_every_length_decodes_to_the_same",
           "export_that_fails_at_any_step_keeps_the_old_file"),
    *holds(pytest.mark.clause("C36"), "test_atomic",
           "commit_syncs_the_file_then_renames_then_syncs_the_directory",
           "failed_write_atomic_keeps_the_old_content_and_leaves_nothing",
           "write_atomic_replaces_a_link_and_not_its_target",
           "write_once_never_replaces_and_leaves_nothing_behind",
           "rename_replaces_and_crosses_directories",
           "append_rename_and_directory_are_durable_on_return"),
]


@pytest.mark.parametrize("program, name", CASES)
def test_unit_program_holds_the_clause(program, name, tmp_path):
    done = subprocess.run([paths.program(f"tests/{program}"), name], cwd=tmp_path,
                          capture_output=True, stdin=subprocess.DEVNULL, timeout=50, check=False)
    suspicion.check(name, done.stderr)
    assert done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")[-8000:]
