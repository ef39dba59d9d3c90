/* pool.pml - who may work on a pairing, and when the pool restarts: supervisor/pool.h as a model.
 *
 * One supervisor, NW slots, NP pairings, and per pairing one item to create remotely. As in the code: a slot is
 * free, or has a worker that nobody reaped yet; a grant commits the lease (generation + 1) before the task is
 * sent; a lease ends by a RESULT that matches slot, incarnation, pairing and generation, or by the reaping of
 * its slot; the restart of the pool asks all workers to stop, grants nothing until the last is reaped, and
 * starts with a count of 0; a worker that is asked to stop says "returned" or is killed. A RESULT may reach
 * the supervisor after the reaping of who sent it.
 * Faults: kill -9 of a worker at any step; a crash of the supervisor at any step (its workers die with it);
 * a worker that only stands still (STUCK); refused logons.
 * Each of these mistakes must be found (scripts/check-model):
 * -DBUG_NOREAP     a worker that stands still loses its lease without being killed and reaped
 * -DBUG_NOGEN      a RESULT is accepted without comparing incarnation and generation
 * -DBUG_NOPROBE    after a crash the write is made again without looking for it
 * -DBUG_RECFIRST   the record is committed before the remote write
 * -DBUG_COUNTSTALE refusals that came too late are counted
 * -DBUG_EARLYUP    the restart is over although a worker is left
 * -DBUG_NOFENCE    the commit of a record does not compare the lease's generation, and
 *                  a worker that stood still loses its lease (as NOREAP)             */
#ifndef NW
#define NW 2
#endif
#ifndef NP
#define NP 2
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef SCRASH
#define SCRASH 1
#endif
#ifndef STUCK
#define STUCK 1
#endif
#ifndef LOGON
#define LOGON 2
#endif
#define NONE 255

mtype = { WAIT, LEASED, DONE };
mtype = { R_OK, R_LOGON, R_RETURNED };

/* durable: scheduler.db and the pairing's state.db */
mtype st[NP]; byte owner[NP]; byte lgen[NP]; bool intent[NP]; bool rec[NP];
/* the mail server */
byte remote[NP];
/* the world */
byte inwrite[NP];                 /* workers inside a remote write for this pairing right now */
bool used[NW];                    /* the slot has a process that is not reaped */
bool alive[NW]; byte winc[NW]; byte curp[NW]; byte phase[NW]; bool cancelled[NW];
byte kills = KILLS; byte scrash = SCRASH; byte stuck = STUCK; byte refusals = LOGON;
/* the supervisor's memory */
byte consec; byte thr; bool restarting; byte hand[NW];
byte real;                        /* ghost: accepted refusals since the last success or restart */

chan toW[NW] = [1] of { byte, byte };                   /* pairing, generation */
chan toS = [3] of { byte, byte, byte, byte, mtype };    /* slot, incarnation, pairing, generation, result */

inline die(w) {
  if :: alive[w] ->
        alive[w] = false;
        if :: phase[w] == 2 -> inwrite[curp[w]] = inwrite[curp[w]] - 1 :: else -> skip fi;
        phase[w] = 0; curp[w] = NONE; cancelled[w] = false;
        do :: len(toW[w]) > 0 -> toW[w]?_,_ :: else -> break od
     :: else -> skip fi }
inline reap(w) {
  if :: hand[w] != NONE -> st[hand[w]] = (st[hand[w]] == LEASED -> WAIT : st[hand[w]]); owner[hand[w]] = NONE; hand[w] = NONE
     :: else -> skip fi;
  used[w] = false }
inline finish_restart() {
  if :: restarting && !used[0] && (NW < 2 || !used[NW-1]) -> restarting = false; consec = 0; real = 0
     :: else -> skip fi }

proctype Worker(byte w) {
  byte p, g;
end: do
  :: atomic { alive[w] && phase[w]==0 && len(toW[w])>0 -> toW[w]?p,g; curp[w] = p; phase[w] = 1 }
  :: atomic { alive[w] && phase[w]==1 && refusals>0 && len(toS)<3 ->
       refusals--; phase[w]=0; curp[w]=NONE; toS!w,winc[w],p,g,R_LOGON }
  :: atomic { alive[w] && phase[w]==1 && cancelled[w] && len(toS)<3 ->       /* a safe point */
       phase[w]=0; curp[w]=NONE; toS!w,winc[w],p,g,R_RETURNED }
  :: atomic { alive[w] && phase[w]==1 && !rec[p] && !cancelled[w] ->
#ifdef BUG_RECFIRST
       rec[p] = true;
#endif
       if
#ifndef BUG_NOPROBE
       :: intent[p] && remote[p] > 0 -> phase[w] = 3                          /* found: only record it */
       :: !(intent[p] && remote[p] > 0) -> intent[p] = true; phase[w] = 2; inwrite[p]++; assert(inwrite[p] <= 1)
#else
       :: true -> intent[p] = true; phase[w] = 2; inwrite[p]++; assert(inwrite[p] <= 1)
#endif
       fi }
  :: atomic { alive[w] && phase[w]==1 && rec[p] && !cancelled[w] -> phase[w] = 4 }
  :: atomic { alive[w] && phase[w]==2 -> remote[p]++; assert(remote[p] <= 1); inwrite[p]--; phase[w] = 3 }
  :: atomic { alive[w] && phase[w]==3 ->                                      /* fenced by the generation */
#ifdef BUG_NOFENCE
       assert(lgen[p]==g && st[p]==LEASED);
#endif
       if :: lgen[p]==g && st[p]==LEASED -> rec[p] = true; intent[p] = false :: else -> skip fi;
       phase[w] = 4 }
  :: atomic { alive[w] && phase[w]==4 && len(toS)<3 -> phase[w]=0; curp[w]=NONE; toS!w,winc[w],p,g,R_OK }
  od }

inline grant(w,p) {
  assert(!restarting && st[p]==WAIT && owner[p]==NONE && hand[w]==NONE && used[w]);
  lgen[p]=(lgen[p]+1)%16; st[p]=LEASED; owner[p]=w; hand[w]=p;
  if :: alive[w] -> toW[w]!p,lgen[p] :: else -> skip fi }     /* else it is lost, and the reaping tells */
#define IDLE(w) (used[w] && hand[w]==NONE && len(toW[w])==0 && !restarting)

proctype Supervisor() {
  byte w, i, p, g, k; mtype r; bool good;
end: do
  :: atomic { !used[0] && !restarting -> used[0]=true; alive[0]=true; winc[0]=(winc[0]+1)%8; phase[0]=0; curp[0]=NONE }
#if NW > 1
  :: atomic { !used[1] && !restarting -> used[1]=true; alive[1]=true; winc[1]=(winc[1]+1)%8; phase[1]=0; curp[1]=NONE }
#endif
  :: atomic { st[0]==WAIT && IDLE(0) -> grant(0,0) }
#if NP > 1
  :: atomic { st[1]==WAIT && IDLE(0) -> grant(0,1) }
#endif
#if NW > 1
  :: atomic { st[0]==WAIT && IDLE(1) -> grant(1,0) }
#if NP > 1
  :: atomic { st[1]==WAIT && IDLE(1) -> grant(1,1) }
#endif
#endif
  :: atomic { len(toS)>0 -> toS?w,i,p,g,r;
       good = (used[w] && hand[w]==p && st[p]==LEASED && owner[p]==w && lgen[p]==g && winc[w]==i);
       if :: good && r==R_LOGON -> real++ :: good && r==R_OK -> real = 0 :: else -> skip fi;
#ifdef BUG_NOGEN
       good = (st[p]==LEASED);
#endif
       if
       :: good ->
          if :: owner[p] != NONE -> hand[owner[p]] = NONE :: else -> skip fi;
          owner[p] = NONE;
          if :: r==R_OK && rec[p] -> st[p]=DONE; consec=0
             :: r==R_OK && !rec[p] -> st[p]=WAIT; consec=0
             :: r==R_LOGON -> st[p]=WAIT; consec++
             :: r==R_RETURNED -> st[p]=WAIT                                   /* uncounted */
          fi
       :: else ->
#ifdef BUG_COUNTSTALE
          if :: r==R_LOGON -> consec++ :: else -> skip fi
#else
          skip                                                                /* stale: dropped */
#endif
       fi;
       assert(consec == real);
       if :: consec >= thr && !restarting ->
             restarting = true;
             k=0; do :: k<NW -> cancelled[k] = (alive[k] && hand[k] != NONE);
                        if :: hand[k] == NONE -> die(k) :: else -> skip fi; k++
                     :: else -> break od
          :: else -> skip fi;
       w=0; i=0; p=0; g=0; k=0; good=false }
  /* in a restart: who has handed its task back drains; who does not listen is killed */
  :: atomic { restarting && alive[0] -> die(0) }
#if NW > 1
  :: atomic { restarting && alive[1] -> die(1) }
#endif
#ifdef BUG_EARLYUP
  :: atomic { restarting -> restarting = false; consec = 0; real = 0;
       assert(!used[0] && !used[NW-1]) }
#endif
  /* only the reaping frees a slot and its lease */
  :: atomic { used[0] && !alive[0] -> reap(0); finish_restart() }
#if NW > 1
  :: atomic { used[1] && !alive[1] -> reap(1); finish_restart() }
#endif
  :: atomic { stuck>0 && st[0]==LEASED && owner[0]!=NONE -> stuck--; w = owner[0];
#if defined(BUG_NOREAP) || defined(BUG_NOFENCE)
       st[0]=WAIT; owner[0]=NONE; hand[w]=NONE;
#else
       die(w);                                                                /* the reaping follows */
#endif
       w=0 }
  od }

proctype Chaos() {
  byte k;
  do
  :: atomic { kills>0 && alive[0] -> kills--; die(0) }
#if NW > 1
  :: atomic { kills>0 && alive[1] -> kills--; die(1) }
#endif
  :: atomic { scrash>0 -> scrash--;       /* all workers die with it; what was not durable is gone */
       k=0; do :: k<NW -> die(k); hand[k]=NONE; used[k]=false; k++ :: else -> break od;
       do :: len(toS)>0 -> toS?_,_,_,_,_ :: else -> break od;
       consec = 0; real = 0; restarting = false;
       k=0; do :: k<NP -> st[k] = (st[k]==LEASED -> WAIT : st[k]); owner[k]=NONE; k++ :: else -> break od;
       k=0 }
  :: break
  od }

init { atomic { byte k=0;
  thr = (NW < NP -> NW : NP);
  do :: k<NP -> st[k]=WAIT; owner[k]=NONE; k++ :: else -> break od;
  k=0; do :: k<NW -> curp[k]=NONE; hand[k]=NONE; k++ :: else -> break od;
  run Supervisor(); k=0; do :: k<NW -> run Worker(k); k++ :: else -> break od; run Chaos() } }

#if NP > 1
#define ALLDONE (st[0]==DONE && st[1]==DONE && remote[0]==1 && remote[1]==1 && rec[0] && rec[1])
#define SAFE (((st[0]!=DONE) || (remote[0]==1 && rec[0])) && ((st[1]!=DONE) || (remote[1]==1 && rec[1])) && (!rec[0] || remote[0]>0) && (!rec[1] || remote[1]>0))
#else
#define ALLDONE (st[0]==DONE && remote[0]==1 && rec[0])
#define SAFE (((st[0]!=DONE) || (remote[0]==1 && rec[0])) && (!rec[0] || remote[0]>0))
#endif
ltl finish { <>[] ALLDONE }
ltl safe { [] SAFE }
