using System;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;

namespace ObsAbort
{
    // Threads for calls that block, and at most `limit` of them. Hanging calls on the runtime's pool would starve all other
    // tasks of the program. A thread that has nothing to do ends after a while. It refers to no client, so that a client
    // that is forgotten can be freed.
    internal sealed class CallThreads
    {
        private static readonly TimeSpan IdleTime = TimeSpan.FromSeconds(2);

        private readonly object gate = new object();
        // Not Monitor.Wait, in which Mono's threads must not be when it exits: see Call.
        private readonly Semaphore wakes = new Semaphore(0, int.MaxValue);
        private readonly LinkedList<Job> waiting = new LinkedList<Job>();
        private readonly int limit;
        private int threads;
        private int idle;

        internal CallThreads(int limit)
        {
            this.limit = limit;
        }

        private abstract class Job
        {
            internal readonly LinkedListNode<Job> Node;
            internal readonly ExecutionContext Context = ExecutionContext.Capture();
            internal CancellationTokenRegistration Registration;
            // Begun or cancelled. Guarded by the gate.
            internal bool Settled;

            protected Job()
            {
                Node = new LinkedListNode<Job>(this);
            }

            internal abstract void Run();
            // In place of Run, if the job is not begun.
            internal abstract void Cancel();
        }

        private sealed class Job<T> : Job
        {
            // What waits for the task must not run on these threads.
            internal readonly TaskCompletionSource<T> Source = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
            internal Func<T> Work;
            internal Func<T> Cancelled;

            internal override void Run()
            {
                Finish(Work);
            }

            internal override void Cancel()
            {
                Finish(Cancelled);
            }

            private void Finish(Func<T> how)
            {
                try
                {
                    Source.TrySetResult(how());
                }
                catch (Exception exception)
                {
                    Source.TrySetException(exception);
                }
            }
        }

        // Does `cancelled` instead of `work` if the token is cancelled before a thread is free.
        internal Task<T> Run<T>(Func<T> work, Func<T> cancelled, CancellationToken token)
        {
            Job<T> job = new Job<T> { Work = work, Cancelled = cancelled };
            job.Registration = token.Register(() => CancelWaiting(job), false);
            lock (gate)
            {
                if (job.Settled)
                    return job.Source.Task;
                waiting.AddLast(job.Node);
                if (idle >= waiting.Count)
                    wakes.Release();
                else if (threads < limit && !StartThread() && threads == 0)
                {
                    waiting.Remove(job.Node);
                    job.Settled = true;
                    throw new OutOfMemoryException("the system allows no thread for an asynchronous call");
                }
                return job.Source.Task;
            }
        }

        // All jobs that wait, as if their tokens were cancelled.
        internal void CancelWaiting()
        {
            List<Job> jobs;
            lock (gate)
            {
                jobs = new List<Job>(waiting);
                waiting.Clear();
                foreach (Job job in jobs)
                    job.Settled = true;
            }
            foreach (Job job in jobs)
            {
                job.Registration.Dispose();
                job.Cancel();
            }
        }

        private void CancelWaiting(Job job)
        {
            lock (gate)
            {
                if (job.Settled)
                    return;
                job.Settled = true;
                if (job.Node.List != null)
                    waiting.Remove(job.Node);
            }
            job.Cancel();
        }

        private bool StartThread()
        {
            Thread thread = new Thread(Work) { IsBackground = true, Name = "obsabort" };
            // The thread serves many callers: it takes the context of each, and not that of the first for all.
            bool suppress = !ExecutionContext.IsFlowSuppressed();
            AsyncFlowControl flow = suppress ? ExecutionContext.SuppressFlow() : default(AsyncFlowControl);
            try
            {
                thread.Start();
                threads++;
                return true;
            }
            catch (OutOfMemoryException) // what .NET says if the system allows no further thread
            {
                return false;
            }
            finally
            {
                if (suppress)
                    flow.Undo();
            }
        }

        private void Work()
        {
            try
            {
                for (Job job = Next(); job != null; job = Next())
                {
                    job.Registration.Dispose();
                    if (job.Context == null)
                        job.Run();
                    else
                        ExecutionContext.Run(job.Context, state => ((Job)state).Run(), job);
                }
            }
            finally
            {
                // A callback may have aborted the thread.
                lock (gate)
                {
                    threads--;
                    if (waiting.Count > idle)
                        StartThread();
                }
            }
        }

        private Job Next()
        {
            for (bool woken = true; ; woken = Wait())
                lock (gate)
                {
                    if (waiting.Count > 0)
                    {
                        Job job = waiting.First.Value;
                        waiting.RemoveFirst();
                        job.Settled = true;
                        return job;
                    }
                    if (!woken)
                        return null;
                    idle++;
                }
        }

        // It may return without a job to do: another thread may have taken it.
        private bool Wait()
        {
            try
            {
                return wakes.WaitOne(IdleTime);
            }
            finally
            {
                lock (gate)
                    idle--;
            }
        }
    }
}
