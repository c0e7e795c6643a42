// Before anything is painted: the colours that Airflow's UI has, which keeps its choice under "theme"; and with it when
// it changes. Without a choice of its own, the system's.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => {
    try {
      return localStorage.getItem("theme");
    } catch {
      return null; // the browser keeps nothing for this address
    }
  };
  const follow = () => {
    const theme = chosen();
    const known = theme === "light" || theme === "dark";
    document.documentElement.dataset.theme = known ? theme : dark.matches ? "dark" : "light";
  };
  follow();
  addEventListener("storage", follow);
  dark.addEventListener("change", follow);
})();
