\* SPDX-License-Identifier: MIT OR Apache-2.0
------------------------------ MODULE ReadHistory ------------------------------
(* ReadWhileWrite with a history horizon: may a lock-free reader answer "as of   *)
(* txid T" from what it has read? A horizon record is [k |-> <<0, H>>].          *)
EXTENDS ReadWhileWrite

CONSTANTS MaxHz,  \* horizon records
  Place,          \* "active": appended before the rewrite / "file": part of the rewritten segment
  HzSame          \* TRUE: the reader takes the horizons from the bytes that it read
                  \* FALSE: it took them before it listed the segments
VARIABLE rh       \* HzSame = FALSE: the horizon taken first
hvars == <<dir, ino, nino, hist, next, floor, rpc, todo, got, fl, res, start, rh>>

IsHz(r) == r.k \notin Keys
Max0(S) == IF S = {} THEN 0 ELSE CHOOSE x \in S : \A y \in S : y <= x
HzOf(l) == Max0({l[n].k[2] : n \in {m \in 1..Len(l) : IsHz(l[m])}})
HzLog == HzOf(Flat([i \in Segs |-> C(i)], MaxSeg))
Heirs(i, n) == LET k == C(i)[n].k IN
  {C(i)[m].id : m \in {x \in (n+1)..Len(C(i)) : C(i)[x].k = k}}
  \cup UNION {{C(j)[m].id : m \in {x \in 1..Len(C(j)) : C(j)[x].k = k}} : j \in (i+1)..Top}
Mn0(S) == IF S = {} THEN 0 ELSE CHOOSE x \in S : \A y \in S : x <= y
Need(i, D) == Max0({Mn0(Heirs(i, n)) : n \in D})
Mx(D) == CHOOSE x \in D : \A y \in D : y <= x

HRewrite(i) ==
  /\ Live /\ dir[i] # 0 /\ i < Top /\ nino < MaxIno
  /\ LET s == C(i)
         Z == {n \in 1..Len(s) : IsHz(s[n])} IN
     \E D \in SUBSET ((1..Len(s)) \ Z) :
       LET w == Need(i, D)
           G == IF Place = "file" THEN D \cup Z ELSE D
           z == Mx(G)
           h == Max0({w, HzOf(s)})
           c == IF Place = "file" /\ h > 0
                THEN Without(SubSeq(s, 1, z), G, z) \o <<[k |-> <<0, h>>, d |-> FALSE, id |-> s[z].id]>>
                     \o SubSeq(s, z + 1, Len(s))
                ELSE Without(s, D, Len(s)) IN
       /\ D # {} /\ DropOK(i, D)
       /\ Place = "active" => w <= HzLog
       /\ nino' = nino + 1 /\ dir' = [dir EXCEPT ![i] = nino + 1]
       /\ ino' = [ino EXCEPT ![nino + 1] = c]
  /\ UNCHANGED <<hist, next, floor>> /\ RQuiet

Hzs == Len(SelectSeq(hist, IsHz))
HzAppend ==      \* as high as may be: everything present counts as superseding
  /\ Live /\ Place = "active" /\ Hzs < MaxHz /\ hist # <<>> /\ ~IsHz(hist[Len(hist)])
  /\ LET r == [k |-> <<0, hist[Len(hist)].id>>, d |-> FALSE, id |-> Len(hist) + 1] IN
     ino' = [ino EXCEPT ![dir[Top]] = Append(@, r)] /\ hist' = Append(hist, r)
  /\ UNCHANGED <<dir, nino, next, floor>> /\ RQuiet
UserAppend(k, d) ==
  /\ Live /\ next <= MaxRec /\ next' = next + 1
  /\ LET r == [k |-> k, d |-> d, id |-> Len(hist) + 1] IN
     ino' = [ino EXCEPT ![dir[Top]] = Append(@, r)] /\ hist' = Append(hist, r)
  /\ UNCHANGED <<dir, nino, floor>> /\ RQuiet
HStart == RStart /\ rh' = IF HzSame THEN 0 ELSE HzLog
HInit == Init /\ rh = 0
HNext == \/ HStart
         \/ /\ \/ \E k \in Keys, d \in BOOLEAN : UserAppend(k, d)
               \/ HzAppend \/ Rotate \/ \E i \in Segs : HRewrite(i)
               \/ ROpen \/ RCheck \/ RIdent \/ RFloor \/ RRead
            /\ UNCHANGED rh
HSpec == HInit /\ [][HNext]_hvars
----------------------------------------------------------------------------
Upto(l, T) == SelectSeq(l, LAMBDA r : r.id <= T)
AtReader ==
  rpc = "done" => LET l == Flat(res, MaxSeg)
                      h == IF HzSame THEN HzOf(l) ELSE rh
                      top == Max0({l[n].id : n \in 1..Len(l)}) IN
    \A T \in 1..top : T < h \/ Fold(Upto(l, T)) = Fold(Upto(hist, T))
\* vacuity: a rewritten segment was read, some T refused and wrong, a later one answered
ReachAt == LET l == Flat(res, MaxSeg)
               top == Max0({l[n].id : n \in 1..Len(l)}) IN
  ~(rpc = "done" /\ dir # got /\ \E T, U \in 1..top : T < HzOf(l) /\ HzOf(l) <= U /\ U < top
      /\ Fold(Upto(l, T)) # Fold(Upto(hist, T)))
=============================================================================
