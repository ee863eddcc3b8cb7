\* SPDX-License-Identifier: MIT OR Apache-2.0
--------------------------- MODULE InPlaceCompaction ---------------------------
(* Per-segment rewriting of SEALED segments while the writer keeps appending to *)
(* the active segment and rotating. Power loss: every directory entry goes back *)
(* INDEPENDENTLY to any state it had since the last directory fsync; the active *)
(* segment keeps its durable prefix plus any prefix of the rest.                *)
EXTENDS Naturals, Sequences, FiniteSets, TLC

CONSTANTS Keys, MaxRec, MaxSeg, MaxPower, MaxKill,
  Kinds,          \* of records: "p" Put, "d" Del, "a" Attr (a Raw record recognised as its key's)
  Unlink,         \* a segment with nothing left is unlinked / becomes an empty file
  \* ---- switches, all TRUE in the correct protocol
  NeedDurable,    \* only a DURABLE later record makes a record superfluous
  CheckLower,     \* last-word tombstone kept while a lower segment has a Put of its key
  CheckSame,      \* ... or while an earlier Put of its key stays in the same segment
  DirSyncBetween, \* no rewrite is planned while the directory is not synced
  DirSyncOnOpen,  \* a fresh process takes the directory as NOT synced
  TmpSync,        \* temp file is fsynced before the rename
  AttrDrops,      \* an Attr may be dropped at all (FALSE: Raw is always kept; safe, never minimal)
  DelNeedsDel,    \* rule A: only a later durable DEL makes a Del superfluous, a Put does not
  SeeAttr,        \* rule B asks for the Attrs below, not only for the Puts
  AttrNotPut,     \* a later Attr does not supersede a Put
  KeepHighest,    \* the durable record with the highest txid stays
  \* ---- FALSE in the first design, TRUE in the code
  SyncLate,       \* planned from all that is written, which is synced before the rename; else
                  \* planned from what is known to be durable
  RotateBeside,   \* a rewrite may be planned while the name of a new, empty segment is not synced
  \* ---- FALSE in the correct protocol
  TrustOpen,      \* a fresh process takes the active segment as durable
  ResumeTmp,      \* a left-over temp file is renamed into place at reopen
  LowestOnly      \* tombstone check looks only at segment i-1 (a tempting short cut)

VARIABLES
  cur,    \* cur[i]: entry i as the kernel shows it: [e |-> exists, s |-> records]
  poss,   \* poss[i]: what entry i may be after a power loss
  adur,   \* truth: durable records of the active segment
  known,  \* process: records of the active segment it knows to be durable
  dirOK,  \* process: knows that every entry is durable
  topOK,  \* process: knows that the ACTIVE segment's entry is durable
  tmp,    \* temp file: [on, seg, s, synced, cut]; cut: how far the log went when it was planned
  up,
  hist,   \* ghost: full history of the lineage, never compacted
  acked,  \* ghost: length of the prefix of hist acknowledged as durable
  next, power, kill

vars == <<cur, poss, adur, known, dirOK, topOK, tmp, up, hist, acked, next, power, kill>>

Segs == 1..MaxSeg
NoFile == [e |-> FALSE, s |-> <<>>]
File(s) == [e |-> TRUE, s |-> s]
NoTmp == [on |-> FALSE, seg |-> 0, s |-> <<>>, synced |-> FALSE, cut |-> <<0, 0>>]
Ids == {i \in Segs : cur[i].e}
Top == IF Ids = {} THEN 0 ELSE CHOOSE i \in Ids : \A j \in Ids : j <= i

(* value: last Put not followed by a Del; attributes: last Attr not followed by a *)
(* Del, a Put does not clear them, without a live Put they do not show            *)
RECURSIVE LastOf(_, _, _, _)
LastOf(l, k, t, n) == IF n = 0 THEN 0
                      ELSE IF l[n].k = k /\ l[n].t = t THEN l[n].id
                      ELSE IF l[n].k = k /\ l[n].t = "d" THEN 0
                      ELSE LastOf(l, k, t, n-1)
Last(l, k, n) == LastOf(l, k, "p", n)
RECURSIVE Flat(_, _)
Flat(c, n) == IF n = 0 THEN <<>> ELSE Flat(c, n-1) \o c[n].s
View(c, k) == LET l == Flat(c, MaxSeg) IN Last(l, k, Len(l))
HView(k) == Last(hist, k, Len(hist))
Attr(l, k) == LastOf(l, k, "a", Len(l))
Shown(l, k) == IF Last(l, k, Len(l)) = 0 THEN 0 ELSE Attr(l, k)

Init ==
  /\ cur = [i \in Segs |-> IF i = 1 THEN File(<<>>) ELSE NoFile]
  /\ poss = [i \in Segs |-> {cur[i]}]
  /\ adur = 0 /\ known = 0 /\ dirOK = TRUE /\ topOK = TRUE
  /\ tmp = NoTmp /\ up = TRUE /\ hist = <<>> /\ acked = 0
  /\ next = 1 /\ power = 0 /\ kill = 0

(* ------------------------------ the writer ------------------------------ *)
AppendRec(k, t) ==
  /\ up /\ topOK /\ next <= MaxRec
  /\ LET r == [k |-> k, t |-> t, id |-> next] IN
     /\ cur' = [cur EXCEPT ![Top].s = Append(@, r)]
     /\ hist' = Append(hist, r)
  /\ next' = next + 1
  /\ UNCHANGED <<poss, adur, known, dirOK, topOK, tmp, up, acked, power, kill>>

Fsync ==
  /\ up /\ topOK /\ known # Len(cur[Top].s)
  /\ adur' = Len(cur[Top].s) /\ known' = Len(cur[Top].s) /\ acked' = Len(hist)
  /\ UNCHANGED <<cur, poss, dirOK, topOK, tmp, up, hist, next, power, kill>>

Rotate ==                          \* fsync the old one, create the next
  /\ up /\ topOK /\ Top < MaxSeg /\ cur[Top].s # <<>>
  /\ LET t == Top IN
     /\ cur' = [cur EXCEPT ![t+1] = File(<<>>)]
     /\ poss' = [poss EXCEPT ![t] = (@ \cap {NoFile}) \cup {cur[t]},
                             ![t+1] = {NoFile, File(<<>>)}]
  /\ adur' = 0 /\ known' = 0 /\ acked' = Len(hist)
  /\ dirOK' = (RotateBeside /\ dirOK) /\ topOK' = FALSE
  /\ UNCHANGED <<tmp, up, hist, next, power, kill>>

DirSync ==
  /\ up /\ ~(dirOK /\ topOK)
  /\ poss' = [i \in Segs |-> {IF i = Top THEN File(<<>>) ELSE cur[i]}]
  /\ dirOK' = TRUE /\ topOK' = TRUE
  /\ UNCHANGED <<cur, adur, known, tmp, up, hist, acked, next, power, kill>>

(* ---------------------------- the compaction ---------------------------- *)
Lim(j) == IF j < Top THEN Len(cur[j].s) ELSE IF NeedDurable /\ ~SyncLate THEN known ELSE Len(cur[j].s)
Written == IF NeedDurable /\ SyncLate THEN <<Top, Len(cur[Top].s)>> ELSE <<0, 0>>
Synced(cut) == cut[1] < Top \/ cut[2] <= known    \* what is sealed is synced
Later(i, n, k, T) ==               \* a later durable record of a key in k, of a kind in T
  \/ \E m \in (n+1)..Len(cur[i].s) : cur[i].s[m].k \in k /\ cur[i].s[m].t \in T
  \/ \E j \in (i+1)..Top : \E m \in 1..Lim(j) : cur[j].s[m].k \in k /\ cur[j].s[m].t \in T
Over(t) == CASE t = "p" -> IF AttrNotPut THEN {"p", "d"} ELSE {"p", "d", "a"}
             [] t = "a" -> IF AttrDrops THEN {"a", "d"} ELSE {}
             [] t = "d" -> IF DelNeedsDel THEN {"d"} ELSE {"p", "d"}
Hidden == IF SeeAttr THEN {"p", "a"} ELSE {"p"}    \* what a Del hides
Lower(i, k) ==
  \E j \in (IF LowestOnly THEN {i-1} \ {0} ELSE 1..(i-1)) :
    \E m \in 1..Len(cur[j].s) : cur[j].s[m].k = k /\ cur[j].s[m].t \in Hidden
DropOK(i, D) ==
  \A n \in D :
    LET r == cur[i].s[n] IN
    \/ Later(i, n, {r.k}, Over(r.t))
    \/ /\ r.t = "d"
       /\ CheckLower => ~Lower(i, r.k)
       /\ CheckSame => \A m \in 1..(n-1) :
                          (cur[i].s[m].k = r.k /\ cur[i].s[m].t \in Hidden) => m \in D
       /\ KeepHighest => Later(i, n, Keys, Kinds)
RECURSIVE Without(_, _, _)
Without(s, D, n) == IF n = 0 THEN <<>>
                    ELSE IF n \in D THEN Without(s, D, n-1)
                    ELSE Append(Without(s, D, n-1), s[n])

Plan(i) ==
  /\ up /\ ~tmp.on /\ i < Top /\ cur[i].e
  /\ DirSyncBetween => (dirOK /\ (topOK \/ RotateBeside))
  /\ \E D \in SUBSET (1..Len(cur[i].s)) :
       /\ D # {}
       /\ DropOK(i, D)
       /\ LET c == Without(cur[i].s, D, Len(cur[i].s)) IN
          tmp' = [on |-> TRUE, seg |-> i, s |-> c, cut |-> Written,
                  synced |-> TmpSync /\ ~ResumeTmp]  \* two steps only where it matters
  /\ UNCHANGED <<cur, poss, adur, known, dirOK, topOK, up, hist, acked, next, power, kill>>

SyncTmp ==
  /\ up /\ tmp.on /\ ~tmp.synced /\ TmpSync
  /\ tmp' = [tmp EXCEPT !.synced = TRUE]
  /\ UNCHANGED <<cur, poss, adur, known, dirOK, topOK, up, hist, acked, next, power, kill>>

Prefixes(s) == {SubSeq(s, 1, n) : n \in 0..Len(s)}
Put_(i, s, synced) ==              \* rename over segment i, or unlink it
  LET f == IF s = <<>> /\ Unlink THEN NoFile ELSE File(s) IN
  /\ cur' = [cur EXCEPT ![i] = f]
  /\ poss' = [poss EXCEPT ![i] = @ \cup {f} \cup
                (IF synced \/ s = <<>> THEN {} ELSE {File(p) : p \in Prefixes(s)})]

Install ==
  /\ up /\ tmp.on /\ (tmp.synced \/ ~TmpSync) /\ Synced(tmp.cut)
  /\ Put_(tmp.seg, tmp.s, tmp.synced)
  /\ dirOK' = FALSE /\ tmp' = NoTmp
  /\ UNCHANGED <<adur, known, topOK, up, hist, acked, next, power, kill>>

(* -------------------------------- crashes -------------------------------- *)
Forget == known' = 0 /\ dirOK' = FALSE /\ topOK' = FALSE

(* a left-over temp file is never read, so it is forgotten at the crash already *)
TmpLeft == IF ~tmp.on \/ ~ResumeTmp THEN {NoTmp}
           ELSE IF tmp.synced THEN {NoTmp, tmp}
           ELSE {NoTmp} \cup {[tmp EXCEPT !.s = p] : p \in Prefixes(tmp.s)}

Kill ==
  /\ up /\ kill < MaxKill /\ kill' = kill + 1 /\ up' = FALSE
  /\ tmp' \in TmpLeft
  /\ Forget
  /\ UNCHANGED <<cur, poss, adur, hist, acked, next, power>>

PowerLoss ==
  /\ power < MaxPower /\ power' = power + 1 /\ up' = FALSE
  /\ LET t == Top
         Act == {File(SubSeq(cur[t].s, 1, n)) : n \in adur..Len(cur[t].s)}
                \cup (IF NoFile \in poss[t] THEN {NoFile} ELSE {})
         Cand(i) == IF i = t THEN Act ELSE poss[i]
     IN \E f \in [Segs -> UNION {Cand(i) : i \in Segs}] :
          /\ \A i \in Segs : f[i] \in Cand(i)
          /\ cur' = f
          /\ hist' = SubSeq(hist, 1, Len(hist) - (Len(cur[t].s) - Len(f[t].s)))
          /\ LET ids == {i \in Segs : f[i].e}
                 nt == IF ids = {} THEN 0 ELSE CHOOSE i \in ids : \A j \in ids : j <= i
             IN /\ adur' = IF nt = 0 THEN 0 ELSE Len(f[nt].s)
                /\ poss' = [i \in Segs |-> IF i = nt THEN {File(<<>>)} ELSE {f[i]}]
  /\ tmp' \in TmpLeft
  /\ Forget
  /\ UNCHANGED <<acked, next, kill>>

Reopen ==
  /\ ~up /\ up' = TRUE
  /\ IF Top = 0
       THEN /\ cur' = [cur EXCEPT ![1] = File(<<>>)]
            /\ poss' = [poss EXCEPT ![1] = {NoFile, File(<<>>)}]
       ELSE IF ResumeTmp /\ tmp.on /\ tmp.seg < Top
              THEN Put_(tmp.seg, tmp.s, TRUE)
              ELSE UNCHANGED <<cur, poss>>
  /\ tmp' = NoTmp                  \* left-over temp files are deleted
  /\ known' = IF TrustOpen /\ Top # 0 THEN Len(cur[Top].s) ELSE 0
  /\ dirOK' = ~DirSyncOnOpen /\ topOK' = ~DirSyncOnOpen
  /\ UNCHANGED <<adur, hist, acked, next, power, kill>>

Next == \/ \E k \in Keys, t \in Kinds : AppendRec(k, t)
        \/ Fsync \/ Rotate \/ DirSync
        \/ \E i \in Segs : Plan(i)
        \/ SyncTmp \/ Install \/ Kill \/ PowerLoss \/ Reopen
Spec == Init /\ [][Next]_vars
----------------------------------------------------------------------------
\* hist is the un-compacted log that would have survived the same crashes
ProjectionKept == \A k \in Keys : View(cur, k) = HView(k)
NoResurrection == \A k \in Keys : HView(k) = 0 => View(cur, k) = 0
NoLoss         == \A k \in Keys : HView(k) # 0 => View(cur, k) = HView(k)
AckedKept      == Len(hist) >= acked
AttrsKept      == \A k \in Keys : Shown(Flat(cur, MaxSeg), k) = Shown(hist, k)
\* stronger: also those that only a future Put would show
AttrsExact     == \A k \in Keys : Attr(Flat(cur, MaxSeg), k) = Attr(hist, k)
\* a reopened process counts on from the highest txid it finds
MaxIdKept      == Len(hist) > 0 => LET l == Flat(cur, MaxSeg) IN
                    Len(l) > 0 /\ l[Len(l)].id = hist[Len(hist)].id
\* what the process believes is true
BeliefSound    == up => /\ known <= adur
                        /\ topOK => NoFile \notin poss[Top]
                        /\ dirOK => \A i \in Segs \ {Top} : poss[i] = {cur[i]}
\* vacuity: must be violated (tombstone and its Put are both really gone, twice crashed)
Sym == Permutations(Keys)
ReachClean == ~(power = MaxPower /\ kill = MaxKill /\ up /\ Len(hist) >= 2
                /\ ~cur[1].e /\ ~cur[2].e /\ cur[3].e /\ cur[3].s # <<>>)
\* vacuity: attr, del dropped, the new file's put and attr left, after a power loss
ReachAttr == ~(power = MaxPower /\ up /\ Len(hist) = 4 /\ hist[1].t = "a" /\ hist[2].t = "d"
               /\ Len(Flat(cur, MaxSeg)) = 2 /\ \E k \in Keys : Shown(hist, k) # 0)
=============================================================================
