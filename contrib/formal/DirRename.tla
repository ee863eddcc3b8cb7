\* SPDX-License-Identifier: MIT OR Apache-2.0
------------------------------- MODULE DirRename -------------------------------
(* Rename of a directory = of several keys: Put of every new name, then Del of   *)
(* every old one, one batch, written in one or more writes and possibly spanning *)
(* ONE rotation. Key i is at <<"old",i>> with value i before; one other value,   *)
(* 99, may be at a new name already (only when TargetEmpty is FALSE).            *)
EXTENDS Naturals, Sequences, FiniteSets

CONSTANTS N, MaxTry, MaxPower, MaxKill,
  Order,        \* "puts": all Puts, then all Dels; "inter": Put,Del per key; "dels": Dels first
  \* ---- switches, TRUE in the correct protocol
  SealSync,     \* the rotation fsyncs the segment it leaves (RecordLog.tla)
  TargetEmpty,  \* refused when somebody else's value is at a new name
  UndoEarly,    \* undo (Dels of the new names) only while no Del of an old name was written
  UndoFresh     \* ... and only when no new name existed when this attempt began

VARIABLES
  seg,    \* two segments of records; the second is in use after the rotation
  dur,    \* durable records of each
  rot,
  pc,     \* "idle" "work" "undo" "undone" "failed" "down"
  todo,   \* rest of the batch
  fresh,  \* no new name existed when this attempt began
  del1,   \* a Del of an old name was written in this attempt
  try, power, kill
vars == <<seg, dur, rot, pc, todo, fresh, del1, try, power, kill>>

Keys == 1..N
P(d, i, v) == [t |-> "put", n |-> <<d, i>>, v |-> v]
D(d, i)    == [t |-> "del", n |-> <<d, i>>, v |-> 0]
Log(s) == s[1] \o s[2]
RECURSIVE Last(_, _, _)
Last(l, k, n) == IF n = 0 THEN 0 ELSE IF l[n].n = k THEN l[n].v ELSE Last(l, k, n-1)
At(l, d, i) == Last(l, <<d, i>>, Len(l))
Now(d, i) == At(Log(seg), d, i)
A == IF rot THEN 2 ELSE 1

RECURSIVE Seq1(_, _, _)
Seq1(F(_), S, i) == IF i > N THEN <<>> ELSE (IF i \in S THEN F(i) ELSE <<>>) \o Seq1(F, S, i + 1)
Live == {i \in Keys : Now("old", i) # 0}          \* a retry has only these left to move
PutN(i) == <<P("new", i, Now("old", i))>>
DelO(i) == <<D("old", i)>>
Batch == CASE Order = "puts"  -> Seq1(PutN, Live, 1) \o Seq1(DelO, Live, 1)
           [] Order = "inter" -> LET F(i) == PutN(i) \o DelO(i) IN Seq1(F, Live, 1)
           [] Order = "dels"  -> Seq1(DelO, Live, 1) \o Seq1(PutN, Live, 1)

Init ==
  /\ \E f \in (IF TargetEmpty THEN {FALSE} ELSE BOOLEAN) :
       seg = <<[i \in Keys |-> P("old", i, i)] \o (IF f THEN <<P("new", 1, 99)>> ELSE <<>>), <<>>>>
  /\ dur = <<Len(seg[1]), 0>> /\ rot = FALSE /\ pc = "idle" /\ todo = <<>>
  /\ fresh = TRUE /\ del1 = FALSE /\ try = 0 /\ power = 0 /\ kill = 0

Start ==
  /\ pc \in {"idle", "undone", "failed"} /\ try < MaxTry /\ Live # {}
  /\ try' = try + 1 /\ todo' = Batch /\ del1' = FALSE /\ pc' = "work"
  /\ fresh' = \A i \in Keys : Now("new", i) = 0
  /\ UNCHANGED <<seg, dur, rot, power, kill>>

Put_(m) == seg' = [seg EXCEPT ![A] = @ \o SubSeq(todo, 1, m)]
HasDel(m) == \E j \in 1..m : todo[j].t = "del" /\ todo[j].n[1] = "old"

Write ==                            \* m whole records in one write, undo included
  /\ pc \in {"work", "undo"} /\ todo # <<>>
  /\ \E m \in 1..Len(todo) :
       /\ Put_(m) /\ todo' = SubSeq(todo, m + 1, Len(todo))
       /\ del1' = (del1 \/ (pc = "work" /\ HasDel(m)))
  /\ UNCHANGED <<dur, rot, pc, fresh, try, power, kill>>
Finish == /\ pc \in {"work", "undo"} /\ todo = <<>>
          /\ pc' = IF pc = "work" THEN "idle" ELSE "undone"
          /\ UNCHANGED <<seg, dur, rot, todo, fresh, del1, try, power, kill>>
Rotate == /\ ~rot /\ pc # "down" /\ rot' = TRUE
          /\ dur' = IF SealSync THEN [dur EXCEPT ![1] = Len(seg[1])] ELSE dur
          /\ UNCHANGED <<seg, pc, todo, fresh, del1, try, power, kill>>
Fsync == /\ pc # "down" /\ dur[A] # Len(seg[A]) /\ dur' = [dur EXCEPT ![A] = Len(seg[A])]
         /\ UNCHANGED <<seg, rot, pc, todo, fresh, del1, try, power, kill>>

(* a write fails and is cut back to its start (RecordLog.tla: fsynced); then    *)
Gone == {i \in Keys : Now("new", i) # 0}
DelN(i) == <<D("new", i)>>
Error ==
  /\ pc = "work" /\ todo # <<>>
  /\ dur' = [dur EXCEPT ![A] = Len(seg[A])]
  /\ IF (UndoEarly /\ del1) \/ (UndoFresh /\ ~fresh)
       THEN pc' = "failed" /\ todo' = <<>>       \* reported as it is: some keys under both names
       ELSE pc' = "undo" /\ todo' = Seq1(DelN, Gone, 1)
  /\ UNCHANGED <<seg, rot, fresh, del1, try, power, kill>>
UndoFails == /\ pc = "undo" /\ pc' = "idle" /\ todo' = <<>> /\ dur' = [dur EXCEPT ![A] = Len(seg[A])]
             /\ UNCHANGED <<seg, rot, fresh, del1, try, power, kill>>

Kill ==                             \* inside a write: any number of whole records of it
  /\ pc # "down" /\ kill < MaxKill /\ kill' = kill + 1 /\ pc' = "down"
  /\ \E m \in 0..Len(todo) : Put_(m)
  /\ todo' = <<>> /\ UNCHANGED <<dur, rot, fresh, del1, try, power>>
PowerLoss ==
  /\ power < MaxPower /\ power' = power + 1 /\ pc' = "down" /\ todo' = <<>>
  /\ \E a \in dur[1]..Len(seg[1]), b \in dur[2]..Len(seg[2]) :
       /\ seg' = <<SubSeq(seg[1], 1, a), SubSeq(seg[2], 1, b)>> /\ dur' = <<a, b>>
  /\ UNCHANGED <<rot, fresh, del1, try, kill>>
Reopen == /\ pc = "down" /\ pc' = "idle" /\ dur' = [dur EXCEPT ![A] = Len(seg[A])]
          /\ UNCHANGED <<seg, rot, todo, fresh, del1, try, power, kill>>

Next == Start \/ Write \/ Finish \/ Rotate \/ Fsync \/ Error \/ UndoFails \/ Kill \/ PowerLoss \/ Reopen
Spec == Init /\ [][Next]_vars
----------------------------------------------------------------------------
\* states a power loss may leave (also read while the process runs)
Left == {SubSeq(seg[1], 1, a) \o SubSeq(seg[2], 1, b) : a \in dur[1]..Len(seg[1]), b \in dur[2]..Len(seg[2])}
NeverBothMissing == \A l \in Left : \A i \in Keys : At(l, "old", i) = i \/ At(l, "new", i) = i
\* never one key only under the new name and another only under the old one
NotSplit == \A l \in Left : ~\E i, j \in Keys :
              At(l, "old", i) = 0 /\ At(l, "new", j) = 0
\* an undone attempt leaves the old names and nothing else
UndoneClean == pc = "undone" => \A i \in Keys : Now("new", i) = 0 /\ Now("old", i) = i
\* a value somebody else had at a new name is lost only to a rename that succeeded or crashed
ForeignKept == pc \in {"undone", "failed"} /\ (\E p \in 1..Len(seg[1]) : seg[1][p].v = 99)
                 => Now("new", 1) = 99
\* vacuity: retried after a power loss, finished, across the rotation
ReachMoved == ~(pc = "idle" /\ try = MaxTry /\ power = MaxPower /\ Live = {} /\ ~fresh /\ dur[2] > 0 /\ dur[1] > N)
=============================================================================
