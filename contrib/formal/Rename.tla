\* SPDX-License-Identifier: MIT OR Apache-2.0
-------------------------------- MODULE Rename --------------------------------
(* File rename of the front end: Put(new, v), Del(old) in one write.            *)
EXTENDS Naturals, Sequences, FiniteSets

CONSTANTS Names, MaxRec, MaxPower, MaxKill,
  \* ---- switches, TRUE in the correct protocol
  PutFirst,     \* Put(new) precedes Del(old)
  SelfIsNoop,   \* rename(x, x) writes nothing
  FixTorn       \* recovery cuts the torn tail (see RecordLog.tla)

VARIABLES
  log,    \* records in the page cache; <<"torn">>-like entries have t = "torn"
  dur,    \* durable length
  up,
  ops,    \* ghost: renames of this lineage: [at, n, old, new, v, w]: n records from index at
  next, power, kill
vars == <<log, dur, up, ops, next, power, kill>>

P(n, v) == [t |-> "put", k |-> n, v |-> v]
D(n)    == [t |-> "del", k |-> n, v |-> 0]
Torn    == [t |-> "torn", k |-> CHOOSE n \in Names : TRUE, v |-> 0]

RECURSIVE VL(_, _)
VL(l, i) == IF i > Len(l) \/ l[i].t = "torn" THEN i - 1 ELSE VL(l, i + 1)
Valid(l) == SubSeq(l, 1, VL(l, 1))
RECURSIVE Last(_, _, _)
Last(l, k, n) == IF n = 0 THEN 0 ELSE IF l[n].k = k THEN l[n].v ELSE Last(l, k, n-1)
ViewOf(l, k) == LET u == Valid(l) IN Last(u, k, Len(u))

Init == log = <<>> /\ dur = 0 /\ up = TRUE /\ ops = {} /\ next = 1 /\ power = 0 /\ kill = 0

DoPut(n) == /\ up /\ Len(log) < MaxRec
            /\ log' = Append(log, P(n, next)) /\ next' = next + 1
            /\ UNCHANGED <<dur, up, ops, power, kill>>
DoDel(n) == /\ up /\ Len(log) < MaxRec /\ ViewOf(log, n) # 0
            /\ log' = Append(log, D(n))
            /\ UNCHANGED <<dur, up, ops, next, power, kill>>

Pair(o, n, v) == IF PutFirst THEN <<P(n, v), D(o)>> ELSE <<D(o), P(n, v)>>
Op(o, n, m) == [at |-> Len(log) + 1, n |-> m, old |-> o, new |-> n,
             v |-> ViewOf(log, o), w |-> ViewOf(log, n)]
Ren(o, n) ==
  /\ up /\ Len(log) + 2 <= MaxRec /\ ViewOf(log, o) # 0
  /\ o # n \/ ~SelfIsNoop
  /\ log' = log \o Pair(o, n, ViewOf(log, o))
  /\ ops' = ops \cup {Op(o, n, 2)}
  /\ UNCHANGED <<dur, up, next, power, kill>>

(* the process dies inside the write: 0 or 1 whole record, perhaps a torn one *)
RenKilled(o, n) ==
  /\ up /\ kill < MaxKill /\ Len(log) + 2 <= MaxRec /\ ViewOf(log, o) # 0
  /\ o # n \/ ~SelfIsNoop
  /\ \E m \in 0..1, x \in BOOLEAN :
       /\ log' = log \o SubSeq(Pair(o, n, ViewOf(log, o)), 1, m) \o (IF x THEN <<Torn>> ELSE <<>>)
       /\ ops' = ops \cup {Op(o, n, m)}
  /\ up' = FALSE /\ kill' = kill + 1
  /\ UNCHANGED <<dur, next, power>>

Fsync == /\ up /\ dur < Len(log) /\ dur' = Len(log)
         /\ UNCHANGED <<log, up, ops, next, power, kill>>

PowerLoss ==
  /\ power < MaxPower /\ power' = power + 1 /\ up' = FALSE
  /\ \E n \in dur..Len(log), x \in BOOLEAN :
       /\ x => n < Len(log)
       /\ log' = SubSeq(log, 1, n) \o (IF x THEN <<Torn>> ELSE <<>>)
       /\ dur' = Len(log')
  /\ UNCHANGED <<ops, next, kill>>

Recover ==
  /\ ~up /\ up' = TRUE
  /\ LET l == IF FixTorn THEN Valid(log) ELSE log IN
     /\ log' = l
     /\ dur' = IF dur > Len(l) THEN Len(l) ELSE dur
     /\ ops' = {[o EXCEPT !.n = IF o.at + 1 <= Len(l) THEN @ ELSE 1] :
                  o \in {q \in ops : q.at <= Len(l)}}  \* nothing survived: forget it
  /\ UNCHANGED <<next, power, kill>>

Next == \/ \E n \in Names : DoPut(n) \/ DoDel(n)
        \/ \E o, n \in Names : Ren(o, n) \/ RenKilled(o, n)
        \/ Fsync \/ PowerLoss \/ Recover
Spec == Init /\ [][Next]_vars
----------------------------------------------------------------------------
\* Every prefix is a recoverable state (p >= dur) or was one. For each rename look
\* at the states before it, between its two records and after it.
Pre(p) == SubSeq(log, 1, p)
Around(o) == {p \in (o.at - 1)..(o.at - 1 + o.n) : p <= VL(log, 1)}
NeverBothMissing ==
  \A o \in ops : \A p \in Around(o) :
     ViewOf(Pre(p), o.old) = o.v \/ ViewOf(Pre(p), o.new) = o.v
\* old: v or (once new has v) nothing; new: w or v; after both: exactly moved
ValuesOldOrNew ==
  \A o \in ops : \A p \in Around(o) :
     LET a == ViewOf(Pre(p), o.old)  b == ViewOf(Pre(p), o.new) IN
     o.old # o.new => /\ a \in {o.v, 0} /\ b \in {o.w, o.v}
                      /\ (a = 0 => b = o.v)
OthersUntouched ==
  \A o \in ops : \A p \in Around(o) : \A k \in Names \ {o.old, o.new} :
     ViewOf(Pre(p), k) = ViewOf(Pre(o.at - 1), k)
\* synced data is in the valid prefix
DurableReadable == up => VL(log, 1) >= dur
\* POSIX atomicity, NOT given by this design: must be violated (both names present)
FullyAtomic ==
  \A o \in ops : \A p \in Around(o) : o.old # o.new =>
     ~(ViewOf(Pre(p), o.old) = o.v /\ ViewOf(Pre(p), o.new) = o.v)
=============================================================================
