# SPDX-License-Identifier: MIT OR Apache-2.0
"""The clauses of src/CANON.md that are held from the inside: each test case of the programs
test_core_* in tests/unit, run on its own, with the clauses it is for."""
import re
import subprocess

import pytest
from pytest import mark

import paths
import suspicion

CASES = [
    ("frame", "crc_gives_the_check_values", mark.clause("C2")),
    ("frame", "crc_implementations_agree_at_every_length_start_and_cut", mark.clause("C2")),
    ("frame", "a_frame_reads_back_as_it_was_written", mark.clause("C2")),
    ("frame", "limits_are_refused", mark.clause("C22")),
    ("frame", "no_truncation_is_accepted", mark.clause("C2")),
    ("frame", "no_flipped_bit_is_accepted", mark.clause("C2")),
    ("frame", "the_first_wrong_field_is_named", mark.clause("C2")),
    ("frame", "the_torn_header_rule_holds_for_every_boundary_and_byte", mark.clause("C3")),
    ("frame", "a_header_of_zeros_is_torn_anywhere_and_a_right_one_nowhere_else", mark.clause("C3")),
    ("lock", "a_second_writer_is_told_who_holds_the_lock", mark.clause("C4")),
    ("lock", "removing_the_lock_file_lets_no_second_writer_in", mark.clause("C4a")),
    ("lock", "a_program_that_locks_the_directory_for_a_moment_is_waited_for",
     mark.clause("C4a")),
    ("lock", "the_file_that_is_locked_is_the_one_that_bears_the_name", mark.clause("C4")),
    ("lock", "a_writer_waits_for_the_lock_as_long_as_it_is_told", mark.clause("C4")),
    ("lock", "the_lock_is_not_inherited_by_a_program", mark.clause("C4")),
    ("lock", "no_descriptor_of_ours_is_a_standard_one", mark.clause("C41")),
    ("open", "a_new_log_is_made_durable_name_by_name", mark.clause("C5", "C6")),
    ("open", "opening_syncs_before_it_reads_and_cuts_only_what_is_saved", mark.clause("C6", "C8")),
    ("open", "every_cut_of_the_last_record_keeps_all_others_and_saves_its_bytes",
     mark.clause("C7", "C8", "C13")),
    ("open", "a_side_file_never_replaces_another", mark.clause("C8")),
    ("open", "without_a_side_file_nothing_is_cut_and_the_log_is_read_only", mark.clause("C9")),
    ("open", "a_refused_open_names_the_place_and_changes_nothing", mark.clause("C10")),
    ("open", "a_torn_sealed_segment_is_refused", mark.clause("C10")),
    ("open", "strict_refuses_intact_records_behind_a_torn_tail", mark.clause("C11", "C12")),
    ("open", "zeros_are_never_records_and_end_the_log", mark.clause("C3", "C7")),
    ("open", "must_exist_creates_nothing", mark.clause("C5")),
    ("open", "only_segment_names_count_and_gaps_and_empty_files_are_fine",
     mark.clause("C1", "C14")),
    ("open", "the_last_segment_is_not_rotated_past", mark.clause("C20")),
    ("open", "left_over_temporary_files_go_and_side_files_stay", mark.clause("C15")),
    ("open", "the_observer_sees_every_record_and_may_stop_the_open", mark.clause("C13")),
    ("damage", "missing_txids_are_never_more_than_are_missing", mark.clause("C13a")),
    ("damage", "an_iteration_says_its_damage_and_goes_on_behind_it",
     mark.clause("C12", "C26a")),
    ("damage", "a_single_file_is_iterated_over_like_a_log", mark.clause("C26a")),
    ("damage", "a_log_that_cannot_be_repaired_says_how_many_are_intact", mark.clause("C9")),
    ("log", "places_say_where_records_are_and_txids_rise_from_one", mark.clause("C14", "C24")),
    ("log", "bad_operations_are_refused_and_write_nothing", mark.clause("C22")),
    ("log", "a_batch_that_a_size_cannot_tell_is_refused", mark.clause("C22")),
    ("log", "a_batch_is_one_write_whatever_its_payloads_and_reads_back", mark.clause("C16")),
    ("log", "the_largest_record_is_written_and_read", mark.clause("C22")),
    ("log", "a_segment_rotates_before_it_would_grow_too_large_and_no_batch_is_split",
     mark.clause("C16", "C20")),
    ("log", "rotation_syncs_the_old_segment_and_then_the_new_name", mark.clause("C20")),
    ("log", "txids_do_not_wrap", mark.clause("C14")),
    ("log", "short_writes_are_finished", mark.clause("C16")),
    ("log", "a_failed_batch_is_cut_back_synced_and_leaves_the_log_usable", mark.clause("C17")),
    ("log", "a_failed_sync_poisons_and_reading_goes_on", mark.clause("C19")),
    ("log", "a_failed_cut_back_poisons", mark.clause("C19")),
    ("log", "a_rotation_that_cannot_create_changes_nothing_and_a_failed_sync_poisons",
     mark.clause("C19", "C20")),
    ("log", "close_does_not_sync_and_releases_everything", mark.clause("C23")),
    ("log", "a_failed_close_is_told_and_releases_everything_all_the_same", mark.clause("C23")),
    ("sync", "concurrent_syncs_share_a_call_and_rotations_do_not_hurt", mark.clause("C18")),
    ("sync", "appends_and_reads_go_on_during_a_sync", mark.clause("C18")),
    ("sync", "no_two_syncs_run_at_once_not_even_a_cut_back", mark.clause("C18")),
    ("sync", "a_sync_never_says_durable_behind_one_that_failed", mark.clause("C18", "C19")),
    ("sync", "whoever_waits_for_a_sync_that_fails_is_told", mark.clause("C19")),
    ("sync", "a_cut_back_does_not_make_durable_what_a_failed_sync_left", mark.clause("C19")),
    ("rotate", "appends_that_fit_go_on_while_a_rotation_syncs", mark.clause("C20")),
    ("rotate", "changes_of_a_store_go_on_while_a_rotation_syncs", mark.clause("C20")),
    ("rotate", "appends_cannot_put_a_rotation_off_for_ever", mark.clause("C20")),
    ("rotate", "a_full_segment_is_told_to_whoever_syncs_apart", mark.clause("C20")),
    ("own", "what_somebody_does_to_the_files_is_found_before_a_sync_is_reported",
     mark.clause("C4b", "C19")),
    ("own", "what_somebody_does_to_the_files_is_found_by_a_check_alone", mark.clause("C4b")),
    ("own", "a_cut_is_found_although_more_was_appended_behind_it", mark.clause("C4b")),
    ("own", "a_log_that_was_only_opened_notices_that_it_was_cut", mark.clause("C4b")),
    ("own", "a_rotation_does_not_go_past_what_somebody_has_made", mark.clause("C4b", "C20")),
    ("own", "a_backup_by_hard_links_and_a_moved_directory_are_no_fault", mark.clause("C4b")),
    ("own", "a_lock_file_that_is_gone_or_replaced_is_made_and_locked_again", mark.clause("C4c")),
    ("own", "where_directories_cannot_be_locked_the_file_is_enough",
     mark.clause("C4a", "C4c")),
    ("own", "appends_syncs_and_rotations_beside_checks_raise_no_alarm", mark.clause("C4b")),
    ("files", "a_new_log_directory_is_private_and_a_given_one_passes_its_mode_on",
     mark.clause("C1b")),
    ("files", "a_new_file_takes_the_mode_of_the_newest_segment", mark.clause("C1b")),
    ("files", "a_file_is_nobody_elses_before_it_has_its_group_and_less_open_without_it",
     mark.clause("C1a", "C1b")),
    ("files", "a_segment_that_is_no_regular_file_is_refused_by_name_and_nothing_is_changed",
     mark.clause("C1a")),
    ("files", "a_lock_file_that_is_no_regular_file_is_refused_by_name", mark.clause("C1a")),
    ("files", "somebody_elses_temporary_name_is_neither_used_nor_in_the_way",
     mark.clause("C8", "C15")),
    ("files", "a_bounded_number_of_sealed_segments_is_open", mark.clause("C23a")),
    ("files", "where_descriptors_are_short_fewer_are_open", mark.clause("C23a")),
    ("files", "an_empty_segment_costs_no_descriptor", mark.clause("C23a")),
    ("files", "many_threads_read_more_segments_than_are_open", mark.clause("C23a")),
    ("files", "a_sealed_segment_that_is_another_when_opened_again_cannot_be_read",
     mark.clause("C23a")),
    ("files", "a_sealed_segment_may_get_another_inode_number_but_no_other_time",
     mark.clause("C23a")),
    ("files", "a_reader_keeps_the_bytes_of_what_it_has_open", mark.clause("C25")),
    ("faults", "an_open_fails_or_is_right_whatever_call_fails", mark.clause("C21a")),
    ("faults", "puts_syncs_and_rotations_fail_or_are_durable_whatever_call_fails",
     mark.clause("C21a")),
    ("faults", "reading_values_fails_or_is_right_whatever_call_fails", mark.clause("C21a")),
    ("faults", "a_report_and_an_iteration_fail_or_are_right_whatever_call_fails",
     mark.clause("C21a")),
    ("faults", "interrupted_and_short_calls_are_no_failures", mark.clause("C21a")),
    ("power", "synced_records_survive_and_none_is_invented", [mark.clause("C21"), mark.slow]),
    ("reader", "a_scan_needs_memory_for_the_largest_record_only", mark.clause("C24")),
    ("reader", "a_reader_sees_what_was_there_when_it_opened", mark.clause("C25")),
    ("reader", "a_reader_creates_nothing", mark.clause("C25")),
    ("reader", "a_torn_tail_ends_a_reader_and_damage_elsewhere_is_an_error", mark.clause("C26")),
    ("reader", "a_report_goes_past_hard_errors", mark.clause("C12", "C26")),
    ("reader", "a_reader_retries_when_a_name_appears_vanishes_or_changes_identity",
     mark.clause("C25")),
    ("reader", "a_reader_gives_up_when_the_segments_never_rest", mark.clause("C25")),
    ("reader", "no_truncation_or_flipped_bit_of_a_segment_invents_a_record", mark.clause("C2")),
    ("reader", "intact_records_are_found_at_any_byte", mark.clause("C12")),
    ("reader", "a_frame_in_a_value_is_not_one_more", mark.clause("C12")),
    ("reader", "an_intact_record_is_found_across_the_edge_of_what_is_read_at_once",
     mark.clause("C12")),
    ("reader", "hostile_bytes_do_not_make_the_search_quadratic", mark.clause("C12")),
    ("reader", "a_file_cut_while_it_is_read_ends_the_iteration", mark.clause("C26")),
]


@mark.sanitize
@mark.deadline(180)
@mark.parametrize("program, case", [
    pytest.param(f"test_core_{part}", case, marks=clauses, id=case)
    for part, case, clauses in CASES])
def test_core(program, case):
    done = subprocess.run([paths.program(f"tests/{program}"), case], capture_output=True,
                          stdin=subprocess.DEVNULL, timeout=170, check=False)
    suspicion.check(case, done.stderr)
    assert done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")[-8000:]


def test_every_case_of_these_programs_is_in_the_table():
    found = {(path.stem.removeprefix("test_core_"), case)
             for path in (paths.ROOT / "tests/unit").glob("test_core_*.c")
             for case in re.findall(r"\bUNIT\((\w+)\)", path.read_text())}
    assert found == {row[:2] for row in CASES}
