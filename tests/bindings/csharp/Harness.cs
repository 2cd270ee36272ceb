using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Reflection;
using System.Threading;
using ObsAbort;

// Runs every public method of the test classes, or those whose names contain an argument. No test framework comes with mcs.
static class Harness
{
    public const string Bucket = "bindings";
    public static readonly ObsAbortCredentials Credentials = new ObsAbortCredentials("CSACCESSKEY", "a-secret-of-the-csharp-tests");
    // The library's promise for a call that is cancelled.
    public static readonly TimeSpan Promised = TimeSpan.FromMilliseconds(250);

    private static readonly List<IDisposable> disposables = new List<IDisposable>();

    static int Main(string[] arguments)
    {
        if (arguments.Length == 4 && arguments[0] == "exit-with-calls-at")
            return LifetimeTests.ExitWithCallsInFlight(arguments.Skip(1).ToArray());
        // What tests start together must start together.
        ThreadPool.SetMinThreads(16, 4);
        int run = 0, failed = 0;
        foreach (Type type in new[] { typeof(AbortTests), typeof(SweepTests), typeof(CancellationTests), typeof(CallbackTests), typeof(LifetimeTests) })
            foreach (MethodInfo test in type.GetMethods(BindingFlags.Static | BindingFlags.Public | BindingFlags.DeclaredOnly))
            {
                if (arguments.Length > 0 && !arguments.Any(argument => test.Name.Contains(argument)))
                    continue;
                run++;
                Stopwatch clock = Stopwatch.StartNew();
                Exception failure = null;
                try
                {
                    ((Action)Delegate.CreateDelegate(typeof(Action), test))();
                }
                catch (Exception exception)
                {
                    failure = exception;
                }
                foreach (IDisposable disposable in Enumerable.Reverse(disposables.ToArray()))
                    disposable.Dispose();
                disposables.Clear();
                Console.WriteLine("{0} {1} ({2} ms)", failure == null ? "ok    " : "FAILED", test.Name, clock.ElapsedMilliseconds);
                if (failure == null)
                    continue;
                failed++;
                Console.WriteLine(failure);
            }
        Console.WriteLine("{0} tests, {1} failed", run, failed);
        return run == 0 || failed > 0 ? 1 : 0;
    }

    public static T Cleanup<T>(T disposable) where T : IDisposable
    {
        lock (disposables)
            disposables.Add(disposable);
        return disposable;
    }

    public static ObsAbortConfig Config(string endpoint)
    {
        return new ObsAbortConfig { Endpoint = endpoint, Credentials = Credentials, Proxy = "" };
    }

    public static ObsAbortClient Client(string endpoint, Action<ObsAbortConfig> set = null)
    {
        ObsAbortConfig config = Config(endpoint);
        set?.Invoke(config);
        return Cleanup(new ObsAbortClient(config));
    }

    public static void That(bool holds, string format, params object[] arguments)
    {
        if (!holds)
            throw new Exception(string.Format(format, arguments));
    }

    public static void Equal<T>(T expected, T value, string what)
    {
        That(EqualityComparer<T>.Default.Equals(expected, value), "{0}: {1} instead of {2}", what, value, expected);
    }

    public static T Throws<T>(Action action) where T : Exception
    {
        try
        {
            action();
        }
        catch (Exception exception)
        {
            if (exception is AggregateException)
                exception = exception.InnerException;
            T expected = exception as T;
            if (expected == null)
                throw new Exception("instead of " + typeof(T).Name, exception);
            return expected;
        }
        throw new Exception("no " + typeof(T).Name);
    }

    public static ObsAbortException Fails(ObsAbortCode code, Action action)
    {
        ObsAbortException exception = Throws<ObsAbortException>(action);
        Equal(code, exception.Code, exception.Message);
        That(exception.Message.StartsWith(code.Name() + ": "), "the message is {0}", exception.Message);
        return exception;
    }

    public static void Within(TimeSpan limit, Stopwatch clock, string what)
    {
        That(clock.IsRunning, "{0} never began", what);
        That(clock.Elapsed <= limit, "{0} took {1}, more than {2}", what, clock.Elapsed, limit);
    }

    public static void Eventually(string what, Func<bool> holds)
    {
        for (Stopwatch clock = Stopwatch.StartNew(); !holds(); Thread.Sleep(5))
            That(clock.Elapsed < TimeSpan.FromSeconds(10), "never: {0}", what);
    }

    // Runs the action on as many threads, and throws what the first of them throws.
    public static void Together(int count, Action<int> action)
    {
        Exception failure = null;
        Thread[] threads = Enumerable.Range(0, count).Select(i => new Thread(() =>
        {
            try
            {
                action(i);
            }
            catch (Exception exception)
            {
                Interlocked.CompareExchange(ref failure, exception, null);
            }
        })).ToArray();
        foreach (Thread thread in threads)
            thread.Start();
        foreach (Thread thread in threads)
            thread.Join();
        if (failure != null)
            throw new Exception("on one of the threads", failure);
    }
}

// The project's small OBS, the program that OBS_LOCAL names. It takes commands.
sealed class ObsLocal : IDisposable
{
    public readonly string Endpoint;
    private readonly Process process;

    public ObsLocal(params string[] options)
    {
        process = Start(new[] { "--control", "--access-key", Harness.Credentials.AccessKey, "--secret-key", Harness.Credentials.SecretKey, "--bucket", Harness.Bucket }.Concat(options));
        Harness.Cleanup(this);
        const string Listening = "listening on ";
        string line = process.StandardOutput.ReadLine();
        Harness.That(line != null && line.StartsWith(Listening), "obs-local does not listen: {0}", line);
        Endpoint = "http://" + line.Substring(Listening.Length);
    }

    private static Process Start(IEnumerable<string> arguments)
    {
        return Process.Start(new ProcessStartInfo(Environment.GetEnvironmentVariable("OBS_LOCAL"), string.Join(" ", arguments))
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            UseShellExecute = false,
        });
    }

    public void Dispose()
    {
        // It ends when its standard input does.
        process.StandardInput.Close();
        process.WaitForExit();
        process.Dispose();
    }

    public string Control(string command)
    {
        process.StandardInput.Write(command + "\n");
        process.StandardInput.Flush();
        return process.StandardOutput.ReadLine();
    }

    public void Must(params string[] commands)
    {
        foreach (string command in commands)
            Harness.Equal("ok", Control(command), command);
    }

    // A number of the reply to "counts" or "connections".
    public int Count(string command, string name)
    {
        foreach (string field in Control(command).Split(' '))
            if (field.StartsWith(name + "="))
                return int.Parse(field.Substring(name.Length + 1));
        throw new Exception("obs-local's " + command + " have no " + name);
    }

    // What the server lists, by its own client.
    public List<Upload> Uploads()
    {
        using (Process list = Start(new[] { "list-uploads", "--endpoint", Endpoint, "--access-key", Harness.Credentials.AccessKey, "--secret-key", Harness.Credentials.SecretKey, "--bucket", Harness.Bucket }))
        {
            List<Upload> uploads = new List<Upload>();
            for (string line = list.StandardOutput.ReadLine(); line != null; line = list.StandardOutput.ReadLine())
                uploads.Add(new Upload(line.Split('\t')[0], line.Split('\t')[1]));
            list.WaitForExit();
            Harness.Equal(0, list.ExitCode, "list-uploads");
            return uploads;
        }
    }

    public List<Upload> NewUploads(int count)
    {
        Must("uploads " + Harness.Bucket + ":" + count + ":90000");
        List<Upload> uploads = Uploads();
        Harness.Equal(count, uploads.Count, "uploads");
        return uploads;
    }

    // Every DELETE hangs from now on, after as many that do not.
    public void Hangs(int skip = 0)
    {
        Must("clear-faults", "fault silence;then=stall;method=DELETE;skip=" + skip + ";always");
    }

    public ObsAbortClient Client(Action<ObsAbortConfig> set = null)
    {
        return Harness.Client(Endpoint, set);
    }
}

// Reads requests and never responds, or later.
sealed class SilentServer : IDisposable
{
    public readonly string Endpoint;
    public int Arrived;
    private readonly TcpListener listener = new TcpListener(IPAddress.Loopback, 0);
    private readonly List<Socket> connections = new List<Socket>();
    private readonly int? delay;

    public SilentServer(int? delay = null)
    {
        this.delay = delay;
        listener.Start(1024);
        Endpoint = "http://" + listener.LocalEndpoint;
        Harness.Cleanup(this);
        new Thread(Accept) { IsBackground = true }.Start();
    }

    private void Accept()
    {
        try
        {
            for (;;)
            {
                Socket connection = listener.AcceptSocket();
                lock (connections)
                    connections.Add(connection);
                // The head of a request is smaller, and comes at once.
                connection.Receive(new byte[4096]);
                Interlocked.Increment(ref Arrived);
                if (delay == null)
                    continue;
                Thread.Sleep(delay.Value);
                connection.Send(System.Text.Encoding.ASCII.GetBytes("HTTP/1.1 204 No Content\r\nx-obs-request-id: 1\r\n\r\n"));
            }
        }
        catch (SocketException)
        {
            // It was stopped.
        }
        catch (ObjectDisposedException)
        {
        }
    }

    public void Dispose()
    {
        listener.Stop();
        lock (connections)
            foreach (Socket connection in connections)
                connection.Close();
    }
}

// Reports at once, on the thread that reports: Progress<T> would post to another one.
sealed class Reports : IProgress<AbortProgress>
{
    private readonly Action<AbortProgress> action;

    public Reports(Action<AbortProgress> action)
    {
        this.action = action;
    }

    public void Report(AbortProgress value)
    {
        action(value);
    }
}
