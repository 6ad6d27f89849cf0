"""The application's pages; run by Streamlit for every session and interaction."""

from pathlib import Path

import streamlit as st

from ui.page_baselines import baselines_page
from ui.page_data import data_page
from ui.page_diagnostics import diagnostics_page
from ui.page_label import label_page
from ui.page_labellers import labellers_page
from ui.page_preferences import preferences_page
from ui.page_runs import runs_page
from ui.page_start import start_page
from ui.page_training import training_page
from ui.visitors import is_researcher, visitor

# An icon of our own: those of the pages would be fetched from a server elsewhere.
ICON = Path(__file__).parent / "assets" / "icon.png"
# Streamlit leaves wide margins, which clips and charts can use.
STYLE = Path(__file__).parent / "assets" / "app.css"
FOR_EVERYBODY = [
    st.Page(label_page, title="Label", icon=":material/compare:", url_path="label", default=True),
]
FOR_RESEARCHERS = [
    st.Page(training_page, title="Training", icon=":material/show_chart:", url_path="training"),
    st.Page(baselines_page, title="Baselines", icon=":material/balance:", url_path="baselines"),
    st.Page(diagnostics_page, title="Diagnostics", icon=":material/troubleshoot:", url_path="diagnostics"),
    st.Page(preferences_page, title="Preferences", icon=":material/thumbs_up_down:", url_path="preferences"),
    st.Page(labellers_page, title="Labellers", icon=":material/groups:", url_path="labellers"),
    st.Page(data_page, title="Data", icon=":material/database:", url_path="data"),
    st.Page(runs_page, title="Runs", icon=":material/monitoring:", url_path="runs"),
    st.Page(start_page, title="New run", icon=":material/add_circle:", url_path="start"),
]

st.set_page_config(
    page_title="PrefRL",
    page_icon=ICON,
    layout="wide",
    menu_items={"About": "Learning from preferences."},
)
st.html(STYLE)
# A page that is not in this list is not run, whatever a browser asks for.
chosen = st.navigation(FOR_EVERYBODY + (FOR_RESEARCHERS if is_researcher() else []))
if (here := visitor()) is not None:
    st.sidebar.caption(f"Signed in as {here.role}. [Sign out](/prefrl/sign-out)")
chosen.run()
