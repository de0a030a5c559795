"""The pages: routes of the four desks, signing in, and the files they need. Server-rendered, in Japanese and English.

`api.pages.routes` holds every route. A page's module makes a view model from plain SQL in the visit's transaction
(disaster, water, tourism, alert_list, ...); the template holds no computation beyond showing it. Nothing is imported
here: whoever wants one module, such as a command that writes a size, need not load every page.

  AssetsError   the static files are not complete (`api.pages.assets`)
  WordsError    a catalogue lacks keys (`api.pages.words`)
"""
