\* SPDX-License-Identifier: MIT OR Apache-2.0
------------------------------ MODULE CompactTo ------------------------------
(* Compaction of a (read-only) source log into a FRESH directory.               *)
EXTENDS Naturals, Sequences, FiniteSets

CONSTANTS Keys, MaxRec, Cap, MaxPower,
  \* ---- switches, all TRUE in the correct protocol
  TempName,      \* built under a temporary name, renamed at the end
  FileSync,      \* every target file is fsynced before the rename
  TargetDirSync, \* the target directory itself is fsynced before the rename
  ParentSync,    \* the parent directory is fsynced before success is reported
  SkipDead       \* only keys that are live in the fold are copied

VARIABLES
  src,            \* source log (one sequence; segmenting is irrelevant here)
  src0,           \* ghost: source when the compaction began
  todo,           \* live keys still to be copied
  tgt,            \* target files: sequence of sequences
  tdur,           \* tdur[i] = durable records of target file i
  tent,           \* number of target files with a durable directory entry
  nameV, nameD,   \* target's name: "none" "temp" "final", volatile / durable set
  pc, power

vars == <<src, src0, todo, tgt, tdur, tent, nameV, nameD, pc, power>>

RECURSIVE Last(_, _, _)
Last(l, k, n) == IF n = 0 THEN 0 ELSE IF l[n].k = k THEN l[n].v ELSE Last(l, k, n-1)
Fold(l) == [k \in Keys |-> Last(l, k, Len(l))]
RECURSIVE Cat(_, _)
Cat(s, n) == IF n = 0 THEN <<>> ELSE Cat(s, n-1) \o s[n]
Flat(s) == Cat(s, Len(s))

Logs == UNION {[1..n -> [k : Keys, v : 0..1]] : n \in 0..MaxRec}
Mk(l) == [i \in 1..Len(l) |-> [k |-> l[i].k, v |-> IF l[i].v = 0 THEN 0 ELSE i]]

Init == /\ \E l \in Logs : src = Mk(l)
        /\ src0 = src
        /\ todo = {k \in Keys : IF SkipDead THEN Fold(src)[k] # 0
                                ELSE \E i \in 1..Len(src) : src[i].k = k}
        /\ tgt = <<>> /\ tdur = <<>> /\ tent = 0
        /\ nameV = "none" /\ nameD = {"none"} /\ pc = "start" /\ power = 0

Mkdir ==
  /\ pc = "start" /\ nameV = "none"
  /\ nameV' = (IF TempName THEN "temp" ELSE "final") /\ nameD' = nameD \cup {nameV'}
  /\ tgt' = <<<<>>>> /\ tdur' = <<0>> /\ pc' = "copy"
  /\ UNCHANGED <<src, src0, todo, tent, power>>

NewFile ==                          \* rotation inside the target
  /\ pc = "copy" /\ todo # {} /\ Len(tgt[Len(tgt)]) = Cap
  /\ tgt' = Append(tgt, <<>>)
  /\ tdur' = Append([tdur EXCEPT ![Len(tgt)] = IF FileSync THEN Cap ELSE @], 0)
  /\ UNCHANGED <<src, src0, todo, tent, nameV, nameD, pc, power>>

Copy ==
  /\ pc = "copy" /\ Len(tgt[Len(tgt)]) < Cap
  /\ \E k \in todo :
       /\ tgt' = [tgt EXCEPT ![Len(tgt)] = Append(@, [k |-> k, v |-> Fold(src)[k]])]
       /\ todo' = todo \ {k}
  /\ UNCHANGED <<src, src0, tdur, tent, nameV, nameD, pc, power>>

SyncFile ==
  /\ pc = "copy" /\ todo = {} /\ pc' = "synced"
  /\ tdur' = IF FileSync THEN [tdur EXCEPT ![Len(tgt)] = Len(tgt[Len(tgt)])] ELSE tdur
  /\ UNCHANGED <<src, src0, todo, tgt, tent, nameV, nameD, power>>

SyncTargetDir ==
  /\ pc = "synced" /\ pc' = "ready"
  /\ tent' = IF TargetDirSync THEN Len(tgt) ELSE tent
  /\ UNCHANGED <<src, src0, todo, tgt, tdur, nameV, nameD, power>>

Rename ==
  /\ pc = "ready" /\ pc' = "renamed"
  /\ nameV' = "final" /\ nameD' = nameD \cup {"final"}
  /\ UNCHANGED <<src, src0, todo, tgt, tdur, tent, power>>

SyncParent ==                       \* and report success
  /\ pc = "renamed" /\ pc' = "done"
  /\ nameD' = IF ParentSync THEN {nameV} ELSE nameD
  /\ UNCHANGED <<src, src0, todo, tgt, tdur, tent, nameV, power>>

(* process crash: leave everything; power loss: also drop what is not durable *)
Kill == /\ pc \notin {"down", "done"} /\ pc' = "down"
        /\ UNCHANGED <<src, src0, todo, tgt, tdur, tent, nameV, nameD, power>>
RECURSIVE Cuts(_)
Cuts(n) == IF n = 0 THEN {<<>>}
           ELSE {Append(p, SubSeq(tgt[n], 1, m)) : p \in Cuts(n-1), m \in tdur[n]..Len(tgt[n])}
PowerLoss ==
  /\ power < MaxPower /\ power' = power + 1
  /\ \E nm \in nameD : /\ nameV' = nm /\ nameD' = {nm}
  /\ \E n \in tent..Len(tgt) : \E c \in Cuts(n) :
        /\ tgt' = c /\ tent' = n /\ tdur' = [i \in 1..n |-> Len(c[i])]
  /\ pc' = IF pc = "done" THEN "done" ELSE "down"
  /\ UNCHANGED <<src, src0, todo>>

(* start again: a left-over temp directory is removed, never reused *)
Restart ==
  /\ pc = "down" /\ nameV # "final" /\ pc' = "start"
  /\ nameV' = "none" /\ nameD' = nameD \cup {"none"}
  /\ tgt' = <<>> /\ tdur' = <<>> /\ tent' = 0
  /\ todo' = {k \in Keys : Fold(src)[k] # 0}
  /\ UNCHANGED <<src, src0, power>>

Next == Mkdir \/ NewFile \/ Copy \/ SyncFile \/ SyncTargetDir \/ Rename \/ SyncParent
        \/ Kill \/ PowerLoss \/ Restart
Spec == Init /\ [][Next]_vars
----------------------------------------------------------------------------
SourceUntouched == src = src0
\* whatever bears the final name is complete and equal
FinalIsComplete == nameV = "final" => Fold(Flat(tgt)) = Fold(src)
Minimal == nameV = "final" =>
             LET l == Flat(tgt) IN
             /\ \A i \in 1..Len(l) : l[i].v # 0
             /\ \A i, j \in 1..Len(l) : l[i].k = l[j].k => i = j
DoneIsDurable == pc = "done" => nameV = "final"
ReachDone == ~(pc = "done" /\ power = MaxPower /\ Len(tgt) = 2)
=============================================================================
