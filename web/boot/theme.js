// Before the first paint: the theme and language chosen last time, so that nothing flashes.
try {
  const theme = localStorage.getItem('socketlab.theme');
  if (theme) document.documentElement.dataset.theme = theme;
  document.documentElement.lang =
    localStorage.getItem('socketlab.lang') ?? (/^sv\b/.test(navigator.language) ? 'sv' : 'en');
} catch {
  // Storage is forbidden: the system's theme and English.
}
