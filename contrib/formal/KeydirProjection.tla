\* SPDX-License-Identifier: MIT OR Apache-2.0
--------------------------- MODULE KeydirProjection ---------------------------
(* The in-memory index (key -> file generation, offset) against the fold.       *)
EXTENDS Naturals, Sequences, FiniteSets

CONSTANTS Keys, MaxRec, MaxSeg, MaxCrash, MaxGen,
  \* ---- switches, all TRUE in the correct protocol
  DelDropsIndex,   \* Del removes the key from the index
  RebuildAscends,  \* rebuild visits segments in NUMERIC id order
  RebuildSeesDel,  \* rebuild applies tombstones
  RelocateAtomic,  \* a rewrite swaps file and index entries in one step
  IndexAfterAppend \* index is changed only after the append succeeded

VARIABLES
  segs,   \* sequence of segments, each a sequence of records
  file,   \* file[i] = generation (inode) now bound to segment i
  store,  \* store[g] = content of generation g (old ones stay readable by fd)
  idx,    \* idx[k] = <<generation, offset>> or <<0,0>>
  next, gen, crash

vars == <<segs, file, store, idx, next, gen, crash>>

None == <<0, 0>>
Put(k, n) == [k |-> k, v |-> n]
Del(k)    == [k |-> k, v |-> 0]
Top == Len(segs)

RECURSIVE Cat(_, _)
Cat(s, n) == IF n = 0 THEN <<>> ELSE Cat(s, n-1) \o s[n]
RECURSIVE Last(_, _, _)
Last(l, k, n) == IF n = 0 THEN 0 ELSE IF l[n].k = k THEN l[n].v ELSE Last(l, k, n-1)
FoldOf(s, k) == LET l == Cat(s, Len(s)) IN Last(l, k, Len(l))
Fold(k) == FoldOf(segs, k)

Get(k) == IF idx[k] = None THEN 0 ELSE
          LET c == store[idx[k][1]] IN
          IF idx[k][2] \in 1..Len(c) /\ c[idx[k][2]].k = k THEN c[idx[k][2]].v
          ELSE 999                                 \* wrong record or end of file

(* rebuild by folding positions *)
RECURSIVE Walk(_, _, _, _)
Walk(ix, c, g, o) ==
  IF o > Len(c) THEN ix
  ELSE LET r == c[o] IN
       Walk(IF r.v # 0 THEN [ix EXCEPT ![r.k] = <<g, o>>]
            ELSE IF RebuildSeesDel THEN [ix EXCEPT ![r.k] = None] ELSE ix,
            c, g, o + 1)
RECURSIVE WalkSegs(_, _, _, _)
WalkSegs(ix, s, f, n) ==           \* visits n of the segments
  IF n > Len(s) THEN ix
  ELSE LET i == IF RebuildAscends THEN n ELSE Len(s) + 1 - n IN
       WalkSegs(Walk(ix, s[i], f[i], 1), s, f, n + 1)
Rebuilt(s, f) == WalkSegs([k \in Keys |-> None], s, f, 1)

Init == /\ segs = <<<<>>>> /\ file = <<1>> /\ store = [g \in 1..MaxGen |-> <<>>]
        /\ idx = [k \in Keys |-> None] /\ next = 1 /\ gen = 1 /\ crash = 0

Write(r) ==
  /\ next <= MaxRec /\ next' = next + 1
  /\ segs' = [segs EXCEPT ![Top] = Append(@, r)]
  /\ store' = [store EXCEPT ![file[Top]] = Append(@, r)]
  /\ idx' = IF r.v # 0 THEN [idx EXCEPT ![r.k] = <<file[Top], Len(segs[Top]) + 1>>]
            ELSE IF DelDropsIndex THEN [idx EXCEPT ![r.k] = None] ELSE idx
  /\ UNCHANGED <<file, gen, crash>>
DoPut(k) == Write(Put(k, next))
DoDel(k) == Write(Del(k))

WriteFails(k) ==                    \* ENOSPC etc: nothing reaches the log
  /\ next <= MaxRec /\ next' = next + 1
  /\ idx' = IF IndexAfterAppend THEN idx
            ELSE [idx EXCEPT ![k] = <<file[Top], Len(segs[Top]) + 1>>]
  /\ UNCHANGED <<segs, file, store, gen, crash>>

Rotate ==
  /\ Top < MaxSeg /\ gen < MaxGen /\ segs[Top] # <<>>
  /\ segs' = Append(segs, <<>>) /\ gen' = gen + 1 /\ file' = Append(file, gen + 1)
  /\ UNCHANGED <<store, idx, next, crash>>

Crash ==                            \* keeps a prefix of the active segment
  /\ crash < MaxCrash /\ crash' = crash + 1
  /\ \E n \in 0..Len(segs[Top]) :
       LET s == [segs EXCEPT ![Top] = SubSeq(@, 1, n)] IN
       /\ segs' = s /\ store' = [store EXCEPT ![file[Top]] = s[Top]]
       /\ idx' = Rebuilt(s, file)
  /\ UNCHANGED <<file, next, gen>>

(* in-place rewrite of a sealed segment: drop everything the index does not    *)
(* point to (Dels kept); new generation; live entries must move with it        *)
Live(i, n) == segs[i][n].v = 0 \/ idx[segs[i][n].k] = <<file[i], n>>
RECURSIVE Keep(_, _)
Keep(i, n) == IF n = 0 THEN <<>>
              ELSE IF Live(i, n) THEN Append(Keep(i, n-1), segs[i][n]) ELSE Keep(i, n-1)
RECURSIVE NewOff(_, _)
NewOff(i, n) == IF n = 0 THEN 0 ELSE (IF Live(i, n) THEN 1 ELSE 0) + NewOff(i, n-1)
Rewrite(i) ==
  /\ i < Top /\ gen < MaxGen
  /\ \E n \in 1..Len(segs[i]) : ~Live(i, n)
  /\ LET c == Keep(i, Len(segs[i])) IN
     /\ segs' = [segs EXCEPT ![i] = c]
     /\ gen' = gen + 1 /\ file' = [file EXCEPT ![i] = gen + 1]
     /\ store' = [store EXCEPT ![gen + 1] = c]
     /\ idx' = [k \in Keys |->
                 IF idx[k][1] = file[i]
                 THEN <<gen + 1, IF RelocateAtomic THEN NewOff(i, idx[k][2]) ELSE idx[k][2]>>
                 ELSE idx[k]]
  /\ UNCHANGED <<next, crash>>

Next == \/ \E k \in Keys : DoPut(k) \/ DoDel(k) \/ WriteFails(k)
        \/ Rotate \/ Crash \/ \E i \in 1..MaxSeg : Rewrite(i)
Spec == Init /\ [][Next]_vars
----------------------------------------------------------------------------
GetEqualsFold     == \A k \in Keys : Get(k) = Fold(k)
IndexEqualsRebuilt == idx = Rebuilt(segs, file)
IndexPointsAtPut  == \A k \in Keys : idx[k] # None => Get(k) # 0 /\ Get(k) # 999
\* vacuity: must be violated
ReachReuse == ~(gen = MaxGen /\ crash = MaxCrash /\ Top = MaxSeg
                /\ \E k \in Keys : idx[k] # None /\ idx[k][1] # file[Top] /\ file[1] > 2)
=============================================================================
